//! What is due, who does it, and what follows from how it ended.
//!
//! ```text
//!  due.rs      the daemon's loop: one ordered query, fair between clients, bounded workers
//!  intake.rs   the loop beside it, over what webhooks brought
//!  worker.rs   one job: claim → pull, intake or replay → finish, with a heartbeat beside it
//!  identity.rs  whose account a credential opens, asked before the first page
//!  heartbeat.rs  keeps the lease, hears the shutdown, notices a pause
//!  pulling.rs  a job's pull as a run
//!  finish.rs   the run's one final row, when the job is due next
//!  policy.rs   the one table: how a run ended → status, remedy, when next
//!  repairs.rs  where polls stand in for lost deliveries
//!  maps.rs     field maps in force, and the dead letters that one releases
//!  take_back.rs  a run that takes back another
//!  holder.rs   who we are in a lease, and whether another holder on this machine is dead
//!  alarm.rs    looking for alerts beside the runs
//!  webhook_out.rs  their notices by HTTP
//! ```
//!
//! Correctness rests on the lease and its fence in the database, never on who launched us or on this process's clock.

pub mod alarm;
pub mod due;
mod finish;
mod heartbeat;
pub mod holder;
mod identity;
pub mod import;
pub mod intake;
pub mod maps;
pub mod policy;
mod pulling;
pub mod repairs;
pub mod retention;
mod take_back;
pub mod turns;
pub mod webhook_out;
pub mod worker;
