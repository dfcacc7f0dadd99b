//! The demo, as somebody starts it who has nothing but this program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .env_clear()
        .env("TMPDIR", folder)
        .current_dir(folder)
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Exit status, stdout, stderr.
fn told(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What the story must tell, in this order.
const STORY: [&str; 12] = [
    "acme/tenants holds tenants.yaml with two tenants",
    "✓ tenantry/apply: Applied: 2 tenants added",
    "+ - name: ai-team",
    "✓ tenantry/plan: 1 tenant added",
    "│ Plan: 1 tenant added",
    "You merge it.",
    "✓ tenantry/apply: Applied: 1 tenant added",
    "GitHub: repository acme/ai-team-workspace",
    "deploy key tenantry/demo/ai-team: read-only",
    "Kustomization workspace ✓",
    "Tenantry is restarted, and compares everything.",
    "none of them a write; in the cluster nothing has changed",
];

fn assert_told(told: &str) {
    let mut rest = told;
    for wanted in STORY {
        let Some((_, after)) = rest.split_once(wanted) else {
            panic!("`{wanted}` does not follow:\n{told}");
        };
        rest = after;
    }
}

#[test]
fn the_whole_story_happens_without_an_account_or_a_cluster() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let (status, out, error) = told(demo(folder.path(), &["--once"]));
    println!("the whole story: {} ms", started.elapsed().as_millis());
    assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
    assert_told(&out);
    assert!(
        !out.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    assert!(is_empty(folder.path()), "nothing is left behind");
}

#[test]
fn the_story_happens_on_a_real_cluster_too() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("kubeconfig");
    fs::write(&file, cluster.kubeconfig_yaml()).expect("it can be written");
    crate::support::installed(cluster);
    let file = file.to_str().expect("a path in UTF-8");
    let (status, out, error) = told(demo(folder.path(), &["--once", "--kubeconfig", file]));
    assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
    assert_told(&out);
    assert!(Path::new(file).exists(), "the file is its owner's");
}

#[test]
fn a_cluster_that_cannot_be_reached_ends_it_with_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (status, out, error) = told(demo(
        folder.path(),
        &["--once", "--kubeconfig", "nowhere.yaml"],
    ));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.starts_with("error: read nowhere.yaml"), "{error}");
}

#[test]
fn it_serves_pages_until_it_is_interrupted_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let mut child = demo(folder.path(), &[])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("it prints UTF-8"));
    let ready = lines.find(|line| line.contains("GitHub   http://127.0.0.1:"));
    assert!(ready.is_some());
    println!("ready: {} ms", started.elapsed().as_millis());
    let address = lines.find_map(|line| line.strip_prefix("Open ").map(str::to_owned));
    let address = address.expect("it invites");
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    interrupt(&child);
    let started = Instant::now();
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    println!("ended: {} ms", started.elapsed().as_millis());
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(is_empty(folder.path()), "nothing is left behind");
}

fn is_empty(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).expect("it can be listed");
    entries.next().is_none()
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}
