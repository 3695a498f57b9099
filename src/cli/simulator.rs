//! `tidegate simulator`: the provider simulator by itself, for trying connectors and for benchmarks.

use std::{io::Write, sync::Arc};

use serde_json::json;

use super::{Done, args::SimulatorArgs, exit::Exit, failure::Failure};
use crate::{
    lifecycle,
    simulator::{AccountOptions, Simulator, SimulatorOptions},
    system_clock::SystemClock,
};

/// The one account that answers, besides the bulk source: synthetic.
const PORTAL: &str = "4711";
const TOKEN: &str = "pat-sim-acme-0001";
const CONTACTS: u64 = 250;
const DEALS: u64 = 60;

/// Serves until it is told to stop. Prints one JSON line that says where.
///
/// # Errors
/// The address is not on loopback, or in use.
pub async fn run(args: &SimulatorArgs) -> Done {
    let stop = lifecycle::stop_on_signals()?;
    let account = AccountOptions::new(PORTAL, TOKEN).contacts(CONTACTS).deals(DEALS);
    let options = SimulatorOptions::new(Arc::new(SystemClock::new())).listen(args.listen).account(account);
    let simulator = Simulator::start(options).await.map_err(|e| Failure::usage(e.to_string()))?;
    let line = json!({
        "address": simulator.address().to_string(), "base_url": simulator.base_url(), "account": PORTAL, "token": TOKEN,
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    stop.cancelled().await;
    simulator.stop().await;
    Ok(Exit::Done)
}
