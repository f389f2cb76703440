//! Free ports for servers. A test kills its server and starts it again on the same port, so a port stays with the test
//! process that took it, whatever runs beside.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Below the range that Linux uses for outgoing connections (from 32,768), of which tests make thousands.
const PORTS: Range<u16> = 10_000..32_000;
/// Ports that a process claims at once.
const BLOCK: usize = 20;

/// Returns a port that nobody listens on and that no other test process gets.
pub fn free_port() -> u16 {
    static CLAIMED: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(port) = claimed.last_mut().and_then(|block| block.ports.find(is_free)) {
            return port;
        }
        claimed.push(Block::claim());
    }
}

fn is_free(port: &u16) -> bool {
    TcpListener::bind(("127.0.0.1", *port)).is_ok()
}

/// A run of ports that belong to this process as long as it lives: a lock on a file says so to all others.
struct Block {
    ports: Range<u16>,
    _lock: File,
}

impl Block {
    fn claim() -> Self {
        let folder = std::env::temp_dir().join("recado-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        PORTS
            .step_by(BLOCK)
            .find_map(|first| {
                let lock = File::create(folder.join(first.to_string())).expect("a file can be made");
                let ports = first..first + BLOCK as u16;
                lock.try_lock().is_ok().then_some(Self { ports, _lock: lock })
            })
            .expect("fewer than a thousand test processes run")
    }
}
