//! Starting one server: its flags, its folder, and the guard that ends it with the tests.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Runs a program for as long as its own stdin is open, that is, as long as the test process lives: no signal
/// handler, destructor or panic hook could promise the same. Then removes the program's folder.
const GUARD: &str = r#"
folder=$1; shift
"$@" >"$folder/log" 2>&1 </dev/null &
cat >/dev/null
kill -KILL $! 2>/dev/null; wait
rm -rf "$folder"; rmdir "${folder%/*}" 2>/dev/null
"#;

/// What the API server writes in its audit log: every request but the controllers' own, once it is answered.
pub(super) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ['system:apiserver', 'system:kube-controller-manager']}
- {level: Metadata}
";

const CONTROLLERS: &str = "namespace,garbagecollector,clusterrole-aggregation,serviceaccount,serviceaccount-token,resourcequota,root-ca-cert-publisher";

/// Starts a server in a folder of its own. A group of its own too, so that Ctrl-C reaches only the tests and the
/// guard, seeing them end, ends the server.
pub(super) fn server(
    assets: &Path,
    folder: &Path,
    name: &str,
    arguments: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<Child> {
    let data = folder.join(name);
    fs::create_dir(&data)?;
    let arguments = arguments(&data)?;
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(&data)
        .arg(assets.join(name))
        .args(arguments)
        .current_dir(&data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {name}"))
}

pub(super) fn etcd_arguments(assets: &Path, data: &Path, port: u16, peer_port: u16) -> Vec<String> {
    let mut arguments = vec![
        format!("--data-dir={}", data.join("data").display()),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer_port}"),
    ];
    if knows(assets, "etcd", "--unsafe-no-fsync") {
        arguments.push("--unsafe-no-fsync".to_owned());
    }
    arguments
}

/// The certificate, made at the first start, also serves as the key of the tokens of service accounts.
pub(super) fn api_server_arguments(data: &Path, port: u16, etcd_url: &str) -> Vec<String> {
    let key = data.join("certificates/apiserver.key");
    vec![
        format!("--etcd-servers={etcd_url}"),
        format!("--cert-dir={}", data.join("certificates").display()),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", data.join("tokens.csv").display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--service-account-key-file={}", key.display()),
        format!(
            "--audit-policy-file={}",
            data.join("audit-policy.yaml").display()
        ),
        format!("--audit-log-path={}", data.join("audit.log").display()),
        "--profiling=false".to_owned(),
    ]
}

pub(super) fn controller_arguments(assets: &Path, data: &Path, api_server: &Path) -> Vec<String> {
    let certificates = api_server.join("certificates");
    let mut arguments = vec![
        format!("--kubeconfig={}", data.join("kubeconfig").display()),
        format!("--controllers={CONTROLLERS}"),
        format!(
            "--service-account-private-key-file={}",
            certificates.join("apiserver.key").display()
        ),
        format!(
            "--root-ca-file={}",
            certificates.join("apiserver.crt").display()
        ),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--concurrent-namespace-syncs=20".to_owned(),
    ];
    // Before 1.24 it also listened without TLS, at a port that two runs at once would fight for.
    if knows(assets, "kube-controller-manager", "--port ") {
        arguments.push("--port=0".to_owned());
    }
    arguments
}

/// Whether the program's help names the flag.
fn knows(assets: &Path, program: &str, flag: &str) -> bool {
    let help = Command::new(assets.join(program)).arg("--help").output();
    help.is_ok_and(|help| {
        [help.stdout, help.stderr]
            .iter()
            .any(|text| String::from_utf8_lossy(text).contains(flag))
    })
}

/// Ports that were free a moment ago, each another one.
pub(super) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    let mut listeners = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
