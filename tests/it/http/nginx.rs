//! The shipped configuration in a real nginx, with TLS, in front of the server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header;
use serde_json::json;
use tempfile::TempDir;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::faults::rig;
use crate::support::elevenlabs::Step;
use crate::support::ports::free_port;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::voice::caller::{Caller, options};
use crate::voice::stream::{RULES, Scene, Stream};

const WITHIN: Duration = Duration::from_secs(20);
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/deploy/nginx.conf");
const NAME: &str = "recado.example.com";
const PUBLIC: &str = "https://recado.example.com";
/// A self-signed certificate.
const CERTIFICATE: &str = "[req]\ndistinguished_name = name\nx509_extensions = more\n[name]\n[more]\n\
    subjectAltName = DNS:recado.example.com\nbasicConstraints = critical,CA:FALSE\n";

/// An nginx of one process, in a folder of its own; ended and removed when dropped.
struct Nginx {
    child: Child,
    folder: TempDir,
    port: u16,
    /// A client that trusts the certificate and resolves the host name to this machine.
    client: reqwest::Client,
}

impl Nginx {
    async fn before(server: &Server) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (at, port) = (folder.path(), free_port());
        make_certificate(at);
        let path = |name: &str| at.join(name).display().to_string();
        let mut site = std::fs::read_to_string(SHIPPED).expect("it is shipped");
        let live = format!("/etc/letsencrypt/live/{NAME}");
        for (shipped, here) in [
            ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
            ("server 127.0.0.1:8000;", format!("server {};", server.url().trim_start_matches("http://"))),
            (&*format!("{live}/fullchain.pem"), path("cert.pem")),
            (&*format!("{live}/privkey.pem"), path("key.pem")),
        ] {
            assert_eq!(site.matches(shipped).count(), 1, "'{shipped}' stands once in {SHIPPED}");
            site = site.replace(shipped, &here);
        }
        let of_its_own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", path(kind)))
            .concat();
        let whole = format!(
            "pid {};\nerror_log {};\ndaemon off;\nmaster_process off;\nevents {{}}\nhttp {{\naccess_log {};\n{of_its_own}{site}}}\n",
            path("nginx.pid"),
            path("error.log"),
            path("access.log"),
        );
        std::fs::write(at.join("nginx.conf"), whole).expect("a file can be written");
        let child = start(at);
        let certificate = std::fs::read(at.join("cert.pem")).expect("it was made");
        crate::support::install_tls();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .tls_certs_only([reqwest::Certificate::from_pem(&certificate).expect("a certificate")])
            .resolve(NAME, SocketAddr::from(([127, 0, 0, 1], port)))
            .http1_only()
            .build()
            .expect("a client");
        let mut nginx = Self { child, folder, port, client };
        nginx.ready().await;
        nginx
    }

    async fn ready(&mut self) {
        let url = format!("{}/health", self.url());
        eventually(WITHIN, || {
            let ended = self.child.try_wait().expect("the child can be asked");
            assert!(ended.is_none(), "nginx ended: {}", self.read("error.log"));
            let request = self.client.get(&url).send();
            async move {
                let answer = request.await.map_err(|error| format!("{error:?}"))?;
                if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
            }
        })
        .await;
    }

    /// Its URL, by its host name.
    fn url(&self) -> String {
        format!("{PUBLIC}:{}", self.port)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // This fails only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- nginx\n{}{}\n---", self.read("error.log"), self.read("access.log"));
        }
    }
}

fn make_certificate(at: &Path) {
    std::fs::write(at.join("cert.cnf"), CERTIFICATE).expect("a file can be written");
    let subject = format!("/CN={NAME}");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", &subject])
        .args(["-config", "cert.cnf", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(at)
        .output()
        .expect("openssl is missing: run tests/run.sh once, it installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn start(at: &Path) -> Child {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("nginx")
        // Debian installs it outside the path of ordinary users.
        .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
        .args(["-p", ".", "-c", "nginx.conf", "-e", "error.log"])
        .current_dir(at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is missing: run tests/run.sh once, it installs it")
}

#[tokio::test]
async fn behind_nginx_signed_webhooks_pass_and_a_media_stream_is_upgraded() {
    let scene = Scene::with(options(RULES).env("APP_URL", PUBLIC)).await;
    let nginx = Nginx::before(&scene.server).await;
    let twilio = rig::twilio(&scene.server).through(&nginx.url(), PUBLIC, nginx.client.clone());
    let ana = Caller { twilio, ..Caller::new(&scene.server, 1) };
    // The provider signs the public URL with its query, byte by byte.
    for path in ["/api/twilio/demo/status", "/api/twilio/demo/status?a=1%2B2%20%C3%B1&b="] {
        assert_eq!(ana.posts(path, &[("CallStatus", "ringing")]).await.status, 200, "{path}");
    }
    let twiml = ana.posts("/api/twilio/voice", &[]).await;
    assert_eq!(twiml.verbs(), ["Response", "Connect", "Stream", "Redirect"], "{}", twiml.document);
    let inner = rig::twilio(&scene.server).through(&nginx.url(), &scene.server.url(), nginx.client.clone());
    let other = Caller { twilio: inner, ..Caller::new(&scene.server, 2) };
    assert_eq!(other.posts("/api/twilio/voice", &[]).await.status, 403, "signed for another URL");

    let url = twiml.attribute("url").expect("a stream's URL");
    let path = url.strip_prefix("wss://recado.example.com/").expect("it is the public one, over TLS");
    let request = nginx.client.get(format!("{}/{path}", nginx.url()));
    let upgraded = request
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .send()
        .await
        .expect("it answers");
    assert_eq!(upgraded.status().as_u16(), 101, "it is upgraded");
    let socket = upgraded.upgrade().await.expect("it is upgraded");
    let mut stream = Stream::begin(WebSocketStream::from_raw_socket(socket, Role::Client, None).await, &ana.sid).await;
    let mut agent = scene.conversation().await;
    agent.receive().await.expect("it is told how to begin");
    agent.say(Step::Metadata { format: "ulaw_8000".into() }).await;
    let media = json!({"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "f39/f39/"});
    stream.send(json!({"event": "media", "sequenceNumber": "2", "streamSid": "MZ1", "media": media})).await;
    assert_eq!(agent.receive().await, Some(json!({"user_audio_chunk": "f39/f39/"})));
    agent.say(Step::Audio { event_id: 1, payload: "AAAA".into() }).await;
    assert_eq!(stream.wait_event("media").await["media"]["payload"], "AAAA");
    ana.posts("/api/twilio/status", &[("CallStatus", "completed"), ("CallDuration", "7")]).await;
    assert!(stream.closed().await, "the stream ends with its call");

    // The proof in the stream's URL is in no log.
    drop(stream);
    let logs = || format!("{}{}", nginx.read("access.log"), nginx.read("error.log"));
    assert!(logs().contains("POST /api/twilio/voice"), "{}", logs());
    let token = path.rsplit('/').next().expect("a token");
    assert!(!logs().contains(token), "{}", logs());
}
