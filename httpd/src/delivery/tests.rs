//! A client that breaks off at various points, over real connections.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::routing::get;
use futures_util::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::{Endpoint, Limits, serve_connections};

const BLOCK: usize = 32 << 10;

/// Says whether an answer arrived, once.
struct Fate {
    tell: mpsc::UnboundedSender<bool>,
    has_arrived: bool,
}

impl Fate {
    fn arrived(mut self) {
        self.has_arrived = true;
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        let _ = self.tell.send(self.has_arrived);
    }
}

/// So many blocks, and what to do once they were taken.
struct Blocks {
    left: usize,
    deliveries: Deliveries,
    fate: Option<Fate>,
}

impl Stream for Blocks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Bytes::from(vec![7; BLOCK]))))
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.left == 0
            && let Some(fate) = self.fate.take()
        {
            self.deliveries.expect(move || fate.arrived());
        }
    }
}

async fn answer(
    State(tell): State<mpsc::UnboundedSender<bool>>,
    Path(left): Path<usize>,
    Extension(deliveries): Extension<Deliveries>,
) -> Body {
    let fate = Fate {
        tell,
        has_arrived: false,
    };
    Body::from_stream(Blocks {
        left,
        deliveries,
        fate: Some(fate),
    })
}

struct Fixture {
    address: std::net::SocketAddr,
    told: mpsc::UnboundedReceiver<bool>,
    stop: CancellationToken,
}

impl Fixture {
    async fn start() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/{blocks}", get(answer))
            .with_state(tell);
        let limits = Limits {
            clients: 8,
            patience: Some(Duration::from_mins(1)),
            grace: Duration::ZERO,
        };
        let endpoint = Endpoint::Tcp(listener, None);
        tokio::spawn(serve_connections(endpoint, router, limits, stop.clone()));
        Self {
            address,
            told,
            stop,
        }
    }

    /// Asks for so many blocks and reads so many bytes of what comes behind the head.
    async fn read(&self, version: &str, blocks: usize, bytes: usize) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET /{blocks} HTTP/{version}\r\nHost: x\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let mut body = vec![0; bytes];
        client.read_exact(&mut body).await.unwrap();
        client
    }

    async fn has_arrived(&mut self) -> bool {
        self.told.recv().await.unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What such a body takes in chunks: `8000\r\n`, the block, `\r\n`, and `0\r\n\r\n` at the end.
const fn in_chunks(blocks: usize) -> usize {
    blocks * (BLOCK + 8) + 5
}

#[tokio::test]
async fn what_was_not_read_to_its_end_has_not_arrived() {
    let mut fixture = Fixture::start().await;
    // Small enough to be written out before its client reads any of it, and larger than what the system holds.
    for blocks in [1, 1_000] {
        for (version, whole) in [("1.0", blocks * BLOCK), ("1.1", in_chunks(blocks))] {
            for bytes in [0, 1, whole / 2, whole - 1] {
                drop(fixture.read(version, blocks, bytes).await);
                let case = format!("{bytes} of {whole} bytes over HTTP/{version}");
                assert!(!fixture.has_arrived().await, "{case}");
            }
            drop(fixture.read(version, blocks, whole).await);
            assert!(
                fixture.has_arrived().await,
                "{whole} bytes over HTTP/{version}"
            );
        }
    }
}

#[tokio::test]
async fn whoever_asks_for_more_has_taken_what_came_before() {
    let mut fixture = Fixture::start().await;
    let mut client = fixture.read("1.1", 1, in_chunks(1)).await;
    assert!(
        fixture.told.try_recv().is_err(),
        "nothing was heard of it yet"
    );
    client.write_all(b"GET /1 HTTP/1.1\r\n").await.unwrap();
    assert!(fixture.has_arrived().await);
}
