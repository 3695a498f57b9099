//! A secret from standard input: all of it from a pipe, one line without echo from a terminal.
//!
//! Owns the terminal while it is asked. Refuses arguments and variables as a way in: both can be read by others.

use std::{
    io::{IsTerminal as _, Read as _, Stdin},
    os::fd::AsFd as _,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::{exit::Exit, failure::Failure, print::notices};

/// A larger text is no secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Reads the secret; asks for `what` when standard input is a terminal.
///
/// # Errors
/// Standard input is empty, too large or no text; the person pressed Ctrl-C.
pub(super) async fn read(what: &str) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let terminal = stdin.is_terminal();
    // Put back when this ends, also by Ctrl-C: a terminal without echo is of no use.
    let _silence = if terminal {
        notices::tell(&format!("{what} (not shown, end with Enter):"));
        Some(Silence::over(stdin)?)
    } else {
        None
    };
    // A thread of its own: one that waits for a terminal must not keep the process from ending.
    let (sender, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nobody waits any more after Ctrl-C.
        let _ = sender.send(text(terminal));
    });
    tokio::select! {
        text = answer => text.unwrap_or_else(|_| Err(std::io::Error::other("it ended"))),
        _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::Usage, "interrupted; nothing was stored")),
    }
    .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))
    .and_then(|text| {
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::usage("standard input is empty")
                .remedy("pipe the secret in, for example from a password manager; it is never an argument"));
        }
        if text.len() as u64 > MAX_SECRET_BYTES {
            return Err(Failure::usage(format!("the secret is larger than {MAX_SECRET_BYTES} bytes")));
        }
        Ok(SecretString::from(text))
    })
}

fn text(terminal: bool) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    if terminal {
        std::io::stdin().read_line(&mut text)?;
    } else {
        std::io::stdin().lock().take(MAX_SECRET_BYTES + 2).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// A terminal without echo, until it is dropped.
struct Silence {
    stdin: Stdin,
    before: Termios,
}

impl Silence {
    fn over(stdin: Stdin) -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| {
            Failure::usage(format!("the terminal cannot be kept from showing the secret: {error}"))
                .remedy("pipe the secret in")
        };
        let before = tcgetattr(stdin.as_fd()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin.as_fd(), OptionalActions::Flush, &silent).map_err(failed)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that went away needs no echo.
        let _ = tcsetattr(self.stdin.as_fd(), OptionalActions::Now, &self.before);
    }
}
