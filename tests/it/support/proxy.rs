//! A TCP proxy on loopback that adds latency and breaks connections: all at once, after so many bytes, or in one direction.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// One direction's faults.
#[derive(Debug, Default)]
struct Fault {
    latency_ms: AtomicU64,
    /// Bytes that still pass; then the connection is cut. Negative: no end.
    budget: AtomicI64,
    /// Bytes are read and thrown away.
    swallow: AtomicBool,
}

/// A running proxy. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<[Fault; 2]>,
    refuse: Arc<AtomicBool>,
    refusals: Arc<AtomicI64>,
    passed: Arc<[AtomicI64; 2]>,
    cut: watch::Sender<u64>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut.send_modify(|turn| *turn += 1);
    }
}

impl Proxy {
    /// Listens on a free port and passes everything on to `server` (`host:port`).
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let faults: Arc<[Fault; 2]> = Arc::default();
        faults.iter().for_each(|fault| fault.budget.store(-1, Ordering::SeqCst));
        let refuse = Arc::new(AtomicBool::new(false));
        let refusals: Arc<AtomicI64> = Arc::default();
        let passed: Arc<[AtomicI64; 2]> = Arc::default();
        let (cut, watch) = watch::channel(0_u64);
        let accepting = tokio::spawn(accept(
            listener,
            server,
            Arc::clone(&faults),
            Arc::clone(&refuse),
            Arc::clone(&refusals),
            Arc::clone(&passed),
            watch,
        ));
        Self { address, faults, refuse, refusals, passed, cut, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Each packet waits this long, in both directions.
    pub fn latency(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).expect("a short wait");
        self.faults.iter().for_each(|fault| fault.latency_ms.store(wait, Ordering::SeqCst));
    }

    /// Cuts every open connection now; new ones are served.
    pub fn cut(&self) {
        self.cut.send_modify(|turn| *turn += 1);
    }

    /// Lets `bytes` pass that way, then cuts the connection, once.
    pub fn cut_after(&self, way: Way, bytes: i64) {
        self.faults[way as usize].budget.store(bytes, Ordering::SeqCst);
    }

    /// Whether a cut that was asked for has not happened yet.
    pub fn cut_is_pending(&self, way: Way) -> bool {
        self.faults[way as usize].budget.load(Ordering::SeqCst) >= 0
    }

    /// Throws away what goes that way, so that one side waits for ever.
    pub fn swallow(&self, way: Way, on: bool) {
        self.faults[way as usize].swallow.store(on, Ordering::SeqCst);
    }

    /// Refuses new connections (by closing them at once).
    pub fn refuse(&self, on: bool) {
        self.refuse.store(on, Ordering::SeqCst);
    }

    /// How many connections were refused so far.
    pub fn refused(&self) -> i64 {
        self.refusals.load(Ordering::SeqCst)
    }

    /// Bytes that have gone that way so far.
    pub fn passed(&self, way: Way) -> i64 {
        self.passed[way as usize].load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    faults: Arc<[Fault; 2]>,
    refuse: Arc<AtomicBool>,
    refusals: Arc<AtomicI64>,
    passed: Arc<[AtomicI64; 2]>,
    cut: watch::Receiver<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        if refuse.load(Ordering::SeqCst) {
            refusals.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let Ok(upstream) = TcpStream::connect(&server).await else { continue };
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        let (faults, passed, mut cut) = (Arc::clone(&faults), Arc::clone(&passed), cut.clone());
        cut.mark_unchanged();
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = upstream.into_split();
            tokio::select! {
                () = pump(&mut from_client, &mut to_server, &faults[0], &passed[0]) => {}
                () = pump(&mut from_server, &mut to_client, &faults[1], &passed[1]) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    fault: &Fault,
    passed: &AtomicI64,
) {
    let mut buffer = vec![0_u8; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        let wait = fault.latency_ms.load(Ordering::SeqCst);
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        if fault.swallow.load(Ordering::SeqCst) {
            continue;
        }
        let size = i64::try_from(read).expect("a small buffer");
        let budget = fault.budget.load(Ordering::SeqCst);
        if budget >= 0 && size >= budget {
            fault.budget.store(-1, Ordering::SeqCst);
            let part = usize::try_from(budget).expect("not negative");
            let _ = to.write_all(&buffer[..part]).await;
            let _ = to.flush().await;
            return;
        }
        if budget >= 0 {
            fault.budget.store(budget - size, Ordering::SeqCst);
        }
        passed.fetch_add(size, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
