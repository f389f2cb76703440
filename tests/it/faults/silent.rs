//! A PostgreSQL whose host vanishes: its connections stay open, and nothing comes through them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::event::InboundData;
use recado::domain::{Channel, Clock, Ids, Phone, TenantId};
use recado::store::{NewInbound, Options, Store, StoreError};
use recado::tenants::new_tenant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::support::postgres::Database;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

const WELL_AGAIN_WITHIN: Duration = Duration::from_secs(60);

/// A proxy on the loopback. Connections that are made while it is silent, or were made before, never speak again.
struct Proxy {
    url: String,
    /// Counts the silences. A connection belongs to the one during which it was made.
    silences: watch::Sender<u64>,
    is_silent: Arc<std::sync::atomic::AtomicBool>,
}

impl Proxy {
    async fn before(database: &Database) -> Self {
        let url = database.url();
        let (user_and_host, name) = url.rsplit_once('/').expect("a database");
        let host = user_and_host.rsplit_once('@').expect("a user").1.replace("%2F", "/");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let port = listener.local_addr().expect("it is bound").port();
        let (silences, _) = watch::channel(0);
        let is_silent = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (spread, silent) = (silences.clone(), is_silent.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (silences, host) = (spread.subscribe(), host.clone());
                let silent = silent.load(std::sync::atomic::Ordering::SeqCst);
                tokio::spawn(async move {
                    if silent {
                        // Accepted, and then nothing.
                        std::future::pending::<()>().await;
                    }
                    if host.starts_with('/') {
                        let server = UnixStream::connect(format!("{host}/.s.PGSQL.5432")).await.expect("it runs");
                        forward(client, server, silences).await;
                    } else {
                        let server = TcpStream::connect(with_port(&host)).await.expect("it runs");
                        forward(client, server, silences).await;
                    }
                });
            }
        });
        let user = user_and_host.rsplit_once("//").expect("a scheme").1.split('@').next().expect("a user");
        Self { url: format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable"), silences, is_silent }
    }

    /// From now on nothing comes through, and nothing is closed.
    fn fall_silent(&self) {
        self.is_silent.store(true, std::sync::atomic::Ordering::SeqCst);
        self.silences.send_modify(|silences| *silences += 1);
    }

    /// New connections come through again; the old ones stay silent.
    fn speak(&self) {
        self.is_silent.store(false, std::sync::atomic::Ordering::SeqCst);
    }
}

fn with_port(host: &str) -> String {
    if host.contains(':') { host.to_owned() } else { format!("{host}:5432") }
}

async fn forward(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    mut silences: watch::Receiver<u64>,
) {
    silences.borrow_and_update();
    let (mut up, mut down) = ([0; 8192], [0; 8192]);
    loop {
        tokio::select! {
            _ = silences.changed() => std::future::pending::<()>().await,
            read = client.read(&mut up) => match read {
                Ok(count) if count > 0 => if server.write_all(&up[..count]).await.is_err() { return },
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(count) if count > 0 => if client.write_all(&down[..count]).await.is_err() { return },
                _ => return,
            },
        }
    }
}

async fn open(url: &str) -> Store {
    let clock = Clock::system();
    let ids = Arc::new(Ids::new(clock.clone(), Random::seeded(1)));
    let options = Options { url: url.into(), synchronous: Synchronous::Normal };
    Store::open(&options, clock, ids).await.expect("it can be opened")
}

fn text(store: &Store, tenant: TenantId, number: u128) -> NewInbound {
    let data = InboundData {
        from: "+34600111222".to_owned(),
        to: "+34911111111".to_owned(),
        body: "hola".to_owned(),
        provider_sid: message_sid(number),
        ..InboundData::default()
    };
    NewInbound::new(
        tenant,
        Channel::Sms,
        Phone::parse("+34600111222").ok().map(Into::into),
        data,
        store.clock().now(),
        1,
        None,
    )
}

/// The kernel would keep such connections for about 15 minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_given_up_and_found_again() {
    let database = Database::fresh().await;
    let proxy = Proxy::before(&database).await;
    let store = open(&proxy.url).await;
    store.migrate().await.expect("the schema can be made");
    let row = new_tenant(&store, "demo", "Demo");
    let tenant = TenantId::new(row.id);
    store.add_tenant(row).await.expect("the slug is free");
    store.writer().ingest(text(&store, tenant, 1)).await.expect("it is stored");
    store.pending_events(tenant, 10).await.expect("they can be read");

    proxy.fall_silent();
    let fell_silent = Instant::now();
    // What a server does at the same time: a webhook, the sweep, a person.
    let (ingested, swept, by_hand) = tokio::join!(
        store.writer().ingest(text(&store, tenant, 2)),
        store.pending_tenants(),
        store.set_setting("colour", "blue"),
    );
    for error in [ingested.err(), swept.err(), by_hand.err()] {
        let error = error.expect("the database does not answer");
        assert!(matches!(error, StoreError::Unreachable(_)) && error.is_outage(), "{error}");
    }
    eprintln!("given up after {:?}", fell_silent.elapsed());

    proxy.speak();
    let spoke = Instant::now();
    let store = &store;
    eventually(WELL_AGAIN_WITHIN, || async move {
        store.writer().ingest(text(store, tenant, 2)).await.map_err(|error| error.to_string())?;
        store.pending_tenants().await.map_err(|error| error.to_string())?;
        store.set_setting("colour", "green").await.map_err(|error| error.to_string())
    })
    .await;
    eprintln!("well again after {:?}", spoke.elapsed());
    assert_eq!(store.messages(tenant, None, 10).await.expect("they can be read").len(), 2, "each is stored once");
}
