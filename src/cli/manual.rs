//! Shell completions and manual pages, made from the definitions of the commands themselves.
//!
//! Owns nothing but their way out. Refuses to say anything that the help texts do not say.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use super::{Done, args::Cli, exit::Exit, failure::Failure, print};

/// `tidegate completions SHELL`.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: clap_complete::Shell) -> Done {
    // Into memory first: the generator panics where standard output is closed early.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    print::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// `tidegate man`: the page of the program on standard output, or, into a folder, that of each command that is shown.
///
/// # Errors
/// Usage: the folder cannot be written to.
pub fn pages(out: Option<&Path>) -> Done {
    match out {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            print::text(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
            Failure::usage(format!("manual pages cannot be written to {}: {error}", folder.display()))
                .remedy("name a folder that is there and can be written to")
        })?,
    }
    Ok(Exit::Done)
}
