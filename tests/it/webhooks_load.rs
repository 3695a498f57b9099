//! What a flood of deliveries costs: `scripts/bench webhooks` runs it, against the release build. A measurement, so it is ignored elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    support::databases::TestDatabase,
    webhooks_ground::{ACME_KEY, Hooks, contact, signed},
};

/// Connections of the sender; each waits for its answer before it sends again.
const CONNECTIONS: usize = 128;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// One request on an open connection; its status.
async fn request(stream: &mut TcpStream, path: &str, id: &str, body: &str) -> Option<u16> {
    let more: String =
        signed(ACME_KEY, id, 0, body).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = Vec::with_capacity(512);
    let mut buffer = [0_u8; 1024];
    loop {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
        if rest.len() >= length {
            return head.split(' ').nth(1)?.parse().ok();
        }
    }
}

async fn flood(db: &TestDatabase, engine: &str) {
    let (rate, seconds) = (number("RATE", 2000), number("SECONDS_OF_FLOOD", 30));
    let total = rate * seconds;
    let hooks = Hooks::with(db, |yard| {
        yard.home.setting("webhooks.requests_per_second", 20_000).setting("webhooks.burst", 20_000);
    })
    .await;
    let pid = hooks.daemon.as_ref().unwrap().pid();
    let (address, path) = (hooks.address, hooks.acme.clone());
    let before = resident(pid);
    let (next, again) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now() + Duration::from_millis(200);
    let senders = (0..CONNECTIONS).map(|_| {
        let (next, again, path) = (Arc::clone(&next), Arc::clone(&again), path.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut waits = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= total {
                    return waits;
                }
                // Due by the clock, not by the answer before: a slow answer makes the following ones late, and they say so.
                let due = began + Duration::from_micros(n * 1_000_000 / rate);
                sleep_until(due).await;
                let body = contact(&format!("{}", 1_000_000 + n), "Flo", 10);
                let id = format!("load-{n}");
                while request(&mut stream, &path, &id, &body).await != Some(200) {
                    again.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(100)).await;
                    stream = TcpStream::connect(address).await.unwrap();
                }
                waits.push(due.elapsed());
            }
        })
    });
    let mut waits: Vec<Duration> = join_all(senders).await.into_iter().flat_map(Result::unwrap).collect();
    let (took, after) = (began.elapsed(), resident(pid));
    let begun_settling = Instant::now();
    let waiting = "select count(*) from event_webhook_events where status = 'received'";
    while hooks.number(waiting).await > 0 {
        assert!(begun_settling.elapsed() < Duration::from_secs(600), "deliveries still wait");
        sleep(Duration::from_millis(250)).await;
    }
    let (settling, end) = (begun_settling.elapsed(), resident(pid));
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 1000].as_secs_f64() * 1000.0;
    let rows = hooks.number("select count(*) from event_webhook_events").await;
    let records = hooks.number("select count(*) from crm_leads where contact_name = 'Flo Example'").await;
    let sent = i64::try_from(total).unwrap();
    println!(
        "{engine:<8} sent {total} in {:.1} s, rows {rows}, records {records}, lost {}, asked again {}; latency ms p50 {:.1} p95 {:.1} p99 {:.1} \
         max {:.1}; last record {:.1} s after the last delivery; RSS MiB {before:.0} at start, {after:.0} after, {end:.0} at the end",
        took.as_secs_f64(),
        sent - rows,
        again.load(Ordering::Relaxed),
        at(500),
        at(950),
        at(990),
        at(1000),
        settling.as_secs_f64(),
    );
    assert_eq!((rows, records), (sent, sent), "one row and one record each");
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: scripts/bench webhooks"]
async fn a_flood_on_sqlite() {
    TestDatabase::sqlite().await.run(async |db| flood(db, "sqlite").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: scripts/bench webhooks"]
async fn a_flood_on_mariadb() {
    TestDatabase::mysql().await.run(async |db| flood(db, "mariadb").await).await;
}
