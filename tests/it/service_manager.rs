//! What a service manager hears of the daemon, over a socket as systemd makes one; and the units that rest on it.

use std::time::Duration;

use tokio::{net::UnixDatagram, time::timeout};

use crate::support::{
    daemon::{Daemon, PATIENCE},
    databases::TestDatabase,
    proxy::Proxy,
    yard::Yard,
};

/// The manager's end of the socket, and the daemon that talks to it.
struct Ear(UnixDatagram);

impl Ear {
    /// Names the socket and the watchdog to what the yard starts.
    fn of(yard: &mut Yard<'_>, watchdog: Option<Duration>) -> Self {
        let path = yard.home.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        yard.home.variable("NOTIFY_SOCKET", path.display());
        if let Some(silence) = watchdog {
            yard.home.variable("WATCHDOG_USEC", silence.as_micros());
        }
        Self(socket)
    }

    /// The next message, if one comes within `patience`.
    async fn hear(&self, patience: Duration) -> Option<String> {
        let mut text = [0; 256];
        let size = timeout(patience, self.0.recv(&mut text)).await.ok()?.unwrap();
        Some(String::from_utf8_lossy(&text[..size]).trim_end().to_owned())
    }

    async fn expect(&self, message: &str) {
        assert_eq!(self.hear(PATIENCE).await.as_deref(), Some(message));
    }

    /// Reads on until `message`; what else may come until then is `others`.
    async fn until(&self, message: &str, others: &str) {
        loop {
            let heard = self.hear(PATIENCE).await.unwrap_or_else(|| panic!("{message} does not come"));
            if heard == message {
                return;
            }
            assert_eq!(heard, others);
        }
    }
}

async fn ends_well(daemon: Daemon) {
    let done = daemon.wait(PATIENCE).await;
    assert_eq!(done.code(), Some(0), "{done}");
}

on_both_engines!(the_service_manager_hears_ready_then_alive_then_stopping, |db| {
    let mut yard = Yard::applied(db, 1, 0).await;
    // A loop that sleeps longer than the watchdog's patience wakes up for it.
    yard.home.setting("scheduler.poll_ms", "600000");
    let ear = Ear::of(&mut yard, Some(Duration::from_millis(800)));
    let daemon = yard.home.start(&["run"]);
    ear.expect("READY=1").await;
    for _ in 0..3 {
        ear.expect("WATCHDOG=1").await;
    }
    assert!(daemon.stderr().contains("raise WatchdogSec"), "{}", daemon.stderr());
    daemon.terminate();
    ear.until("STOPPING=1", "WATCHDOG=1").await;
    ends_well(daemon).await;
    assert_eq!(ear.hear(Duration::ZERO).await, None, "nothing is told after that");
    yard.end().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_watchdog_nobody_is_told_that_it_is_alive() {
    let database = TestDatabase::sqlite().await;
    let mut yard = Yard::applied(&database, 1, 0).await;
    let ear = Ear::of(&mut yard, None);
    let mut daemon = yard.home.start(&["run"]);
    ear.expect("READY=1").await;
    daemon.wait_for_line("run ended").await;
    daemon.terminate();
    ear.expect("STOPPING=1").await;
    ends_well(daemon).await;
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_cannot_start_does_not_say_that_it_is_ready() {
    let database = TestDatabase::sqlite().await;
    let mut yard = Yard::applied(&database, 1, 0).await;
    let ear = Ear::of(&mut yard, None);
    yard.home.setting("launch.file", "nowhere.yaml");
    let done = yard.home.run(&["run"]).await;
    assert_eq!(done.code(), Some(2), "{done}");
    assert_eq!(ear.hear(Duration::ZERO).await, None);
    yard.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_the_watchdog_hears_the_loop_and_nothing_else() {
    TestDatabase::mysql().await.run(stalled).await;
}

async fn stalled(db: &TestDatabase) {
    let mut yard = Yard::applied(db, 1, 0).await;
    let (before, rest) = yard.url().split_once('@').unwrap();
    let (server, after) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(server.to_owned()).await;
    let url = format!("{before}@{}/{after}", proxy.address());
    yard.home.setting("database.url", url);
    let silence = Duration::from_millis(2_000);
    let ear = Ear::of(&mut yard, Some(silence));
    let daemon = yard.home.start(&["run"]);
    ear.expect("READY=1").await;
    ear.expect("WATCHDOG=1").await;
    // The process lives, and so do its other tasks; the loop waits for the database.
    proxy.refuse(true);
    proxy.cut();
    while ear.hear(silence).await.is_some() {}
    proxy.refuse(false);
    ear.expect("WATCHDOG=1").await;
    daemon.terminate();
    ear.until("STOPPING=1", "WATCHDOG=1").await;
    ends_well(daemon).await;
    yard.end().await;
}
