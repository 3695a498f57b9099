//! A listener whose connections can be broken on purpose, below HTTP.
//!
//! Owns the socket. A route never sees it; the gate gets a [`Wire`] with each request and says how much may still go out.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::locked;

/// How a connection is to end.
#[derive(Debug, Clone, Copy, Default)]
enum Cut {
    #[default]
    Open,
    /// So many more bytes go out, then an orderly FIN in the middle of the answer.
    After(usize),
    /// A TCP reset before the next byte.
    Reset,
}

/// The handle on one connection that travels with its requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Arc<Mutex<Cut>>);

impl Wire {
    pub(super) fn cut_after(&self, bytes: usize) {
        *locked(&self.0) = Cut::After(bytes);
    }

    pub(super) fn reset(&self) {
        *locked(&self.0) = Cut::Reset;
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Self {
        stream.io().wire.clone()
    }
}

/// Wraps each accepted connection.
pub(super) struct BreakableListener(pub(super) TcpListener);

impl Listener for BreakableListener {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // axum's own listener already logs and paces what goes wrong while accepting.
        let (stream, address) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "cannot switch off delayed sends");
        }
        (BreakableStream { stream, wire: Wire::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(super) struct BreakableStream {
    stream: TcpStream,
    wire: Wire,
}

impl AsyncRead for BreakableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let cut = *locked(&self.wire.0);
        match cut {
            Cut::Open => Pin::new(&mut self.stream).poll_write(cx, buf),
            Cut::Reset => {
                // With a linger of zero, the drop that follows this error sends RST instead of FIN.
                Poll::Ready(self.stream.set_zero_linger().and(Err(io::ErrorKind::ConnectionReset.into())))
            }
            Cut::After(0) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Cut::After(left) => {
                let part = buf.get(..left).unwrap_or(buf);
                let written = Pin::new(&mut self.stream).poll_write(cx, part);
                if let Poll::Ready(Ok(bytes)) = written {
                    self.wire.cut_after(left - bytes);
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
