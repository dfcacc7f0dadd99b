//! The program as its users run it, in a process of its own: what it says, and what it takes of the machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::world::World;

/// How often the kernel counts a process's time; it is 100 on every Linux.
const TICKS_A_SECOND: u32 = 100;

pub(crate) struct App {
    process: Child,
    admin: SocketAddr,
    pub(crate) started: Instant,
    /// Lines of its log, each with the time at which it came.
    log: Arc<Mutex<Vec<(Instant, String)>>>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Bytes in memory: now, and at most since the last [`App::forget_peak`].
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl App {
    /// `tenantry serve`, comparing everything at its start and then every `resync`.
    pub(crate) fn start(world: &World, resync: Duration) -> Self {
        let [listen, admin] = [free_address(), free_address()];
        world.deliver_to(listen);
        let started = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .arg("serve")
            .env_clear()
            .envs(world.settings())
            .env("TENANTRY_LISTEN", listen.to_string())
            .env("TENANTRY_ADMIN_LISTEN", admin.to_string())
            .env("TENANTRY_RESYNC", format!("{}s", resync.as_secs()))
            .env("TENANTRY_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo has built the program");
        let log = Arc::<Mutex<Vec<(Instant, String)>>>::default();
        let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.map_while(Result::ok) {
                    log.lock()
                        .expect("nobody panics with the log")
                        .push((Instant::now(), line));
                }
            }
        });
        Self {
            process,
            admin,
            started,
            log,
        }
    }

    /// Waits until `/readyz` answers 200, and says how long that took from its start.
    pub(crate) async fn ready(&self) -> Duration {
        loop {
            let admin = self.admin;
            let ready = tokio::task::spawn_blocking(move || is_ready(admin));
            if ready.await.expect("it does not panic") {
                return self.started.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits for a line that holds this text and came after `since`; says when it came.
    pub(crate) async fn says(&mut self, text: &str, since: Instant) -> Instant {
        loop {
            if let Some(at) = self.said(text, since) {
                return at;
            }
            let ended = self.process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the program ended: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn said(&self, text: &str, since: Instant) -> Option<Instant> {
        let log = self.log.lock().expect("nobody panics with the log");
        let mut lines = log
            .iter()
            .filter(|(at, line)| *at > since && line.contains(text));
        lines.next().map(|(at, _)| *at)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        let log = self.log.lock().expect("nobody panics with the log");
        log.iter().map(|(_, line)| line.clone()).collect()
    }

    pub(crate) fn usage(&self) -> Usage {
        let status = self.proc("status");
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kilobytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kilobytes.expect("the kernel tells it") * 1024
        };
        Usage {
            cpu: self.cpu(),
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // After the name, which stands in brackets and may hold anything, `utime` and `stime` are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u32>().expect("a number"));
        Duration::from_secs(1) * ticks.sum::<u32>() / TICKS_A_SECOND
    }

    /// From here on [`Usage::peak`] counts anew.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")
            .expect("it is our child");
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id()))
            .expect("the process is there")
    }

    /// Ends it as Kubernetes does.
    pub(crate) fn stop(mut self) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("there is `kill`");
        assert!(told.success());
        self.process.wait().expect("it is our child");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It has ended, or a measurement went wrong.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(admin) else {
        return false;
    };
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    let asked = stream
        .write_all(request)
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}
