//! The engine by itself: what reading, wanting, comparing and telling cost, and how that grows with the file.
//!
//! `cargo bench --bench engine`. Every stage is timed at three sizes, with what it allocates; in the end stand the CPU
//! times and the exponent by which each grows, 1 being linear.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use tenantry::desired::{self, Wish};
use tenantry::names::TenantName;
use tenantry::observed::{Observed, Sighting};
use tenantry::plan::{self, Plan};
use tenantry::render::{check, comment, comment::Setting};
use tenantry::surroundings::Surroundings;
use tenantry::tenants::{self, Context, Parsed, Tenant};

#[path = "fleet.rs"]
mod fleet;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const COMMIT: &str = "3f2c1ab0000000000000000000000000000000ff";

/// The least time that each stage took at each size.
static TIMES: Mutex<BTreeMap<(&str, usize), Duration>> = Mutex::new(BTreeMap::new());

fn main() {
    divan::main();
    let times = TIMES.lock().expect("nobody panics with the times");
    let stages: BTreeSet<_> = times.keys().map(|(stage, _)| *stage).collect();
    for stage in stages {
        let points = SIZES.map(|size| (size, times[&(stage, size)]));
        let shown =
            points.map(|(size, time)| format!("{size}: {:.1} ms", time.as_secs_f64() * 1e3));
        let exponent = exponent(&points);
        println!(
            "{stage:>8}, CPU: {}, growing with the file to the power of {exponent:.2}",
            shown.join(", ")
        );
    }
}

/// The slope of the straight line nearest to the points, both axes being logarithmic.
#[expect(clippy::cast_precision_loss, reason = "sizes are small")]
fn exponent(points: &[(usize, Duration)]) -> f64 {
    let log = |(size, time): &(usize, Duration)| ((*size as f64).ln(), time.as_secs_f64().ln());
    let logs: Vec<_> = points.iter().map(log).collect();
    let mean =
        |pick: fn(&(f64, f64)) -> f64| logs.iter().map(pick).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = logs.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    covariance / logs.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

fn timed<T>(stage: &'static str, tenants: usize, work: impl FnOnce() -> T) -> T {
    let (started, cpu_before) = (Instant::now(), cpu());
    let result = black_box(work());
    let (wall, cpu_after) = (started.elapsed(), cpu());
    let took = match (cpu_before, cpu_after) {
        (Some(before), Some(after)) if wall > COUNTED => after.saturating_sub(before),
        _ => wall,
    };
    let mut times = TIMES.lock().expect("nobody panics with the times");
    let least = times.entry((stage, tenants)).or_insert(took);
    *least = took.min(*least);
    result
}

/// The kernel counts a thread's time in steps of some milliseconds: only what is longer is told by it.
const COUNTED: Duration = Duration::from_millis(30);

/// What this thread has run so far, whatever else runs on the machine; nothing where the kernel does not tell.
fn cpu() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[divan::bench(args = SIZES, sample_count = 10, max_time = 2)]
fn parse_and_validate(bencher: Bencher, tenants: usize) {
    let (text, context) = (fleet::file(tenants, tenants), context());
    bencher.bench(|| timed("validate", tenants, || tenants::parse(&text, &context)));
}

/// All objects of every tenant, one tenant at a time.
#[divan::bench(args = SIZES, sample_count = 10, max_time = 2)]
fn desire(bencher: Bencher, tenants: usize) {
    let (parsed, surroundings) = (parsed(tenants), surroundings());
    bencher.bench(|| {
        timed("desire", tenants, || {
            let entries = parsed.sound.tenants.values();
            entries
                .map(|entry| wish(entry, &surroundings).objects().len())
                .sum::<usize>()
        })
    });
}

/// Every tenant wanted anew and compared with what is there, in which nothing differs.
#[divan::bench(args = SIZES, sample_count = 10, max_time = 2)]
fn desire_and_plan(bencher: Bencher, tenants: usize) {
    let (parsed, surroundings) = (parsed(tenants), surroundings());
    bencher.bench(|| {
        timed("plan", tenants, || {
            planned(&parsed, &surroundings, &Sighting::AsWanted)
        })
    });
}

/// The comment and the check of a pull request that adds every tenant.
#[divan::bench(args = SIZES, sample_count = 10, max_time = 2)]
fn render(bencher: Bencher, tenants: usize) {
    let (parsed, surroundings) = (parsed(tenants), surroundings());
    let plan = plan::foresee(planned(&parsed, &surroundings, &Sighting::Absent));
    let lines = BTreeMap::new();
    let setting = setting(&lines);
    bencher.bench(|| {
        timed("render", tenants, || {
            (
                comment::plan_comment(&plan, &setting),
                check::plan_check(&plan),
            )
        })
    });
}

fn planned(parsed: &Parsed, surroundings: &Arc<Surroundings>, sighting: &Sighting) -> Plan {
    let mut plan = Plan::default();
    for entry in parsed.sound.tenants.values() {
        let desired = desired::of(&wish(entry, surroundings));
        let sightings = desired
            .objects
            .keys()
            .map(|id| (id.clone(), sighting.clone()));
        let observed = Observed {
            sightings: sightings.collect(),
            ..Observed::default()
        };
        plan.add(
            entry.name.clone(),
            plan::of_tenant(None, &desired, &observed),
        );
    }
    plan
}

fn setting(lines: &BTreeMap<TenantName, usize>) -> Setting<'_> {
    Setting {
        file: "tenants.yaml",
        pull: Some(1),
        head: COMMIT,
        base_branch: "main",
        base: COMMIT,
        at: Timestamp::UNIX_EPOCH,
        lines,
        base_lines: lines,
        details: None,
        before: None,
        retry_at: None,
    }
}

fn parsed(tenants: usize) -> Parsed {
    let parsed = tenants::parse(&fleet::file(tenants, tenants), &context());
    assert_eq!(
        (parsed.sound.tenants.len(), parsed.findings.len()),
        (tenants, 0)
    );
    parsed
}

fn context() -> Context {
    Context {
        control_repository: "acme/tenants".parse().expect("a name"),
        organizations: BTreeSet::new(),
    }
}

fn wish(entry: &Arc<Tenant>, surroundings: &Arc<Surroundings>) -> Wish {
    Wish {
        entry: Arc::clone(entry),
        surroundings: Arc::clone(surroundings),
        commit: Arc::from(COMMIT),
    }
}

fn surroundings() -> Arc<Surroundings> {
    Arc::new(Surroundings {
        organization: "acme".parse().expect("a login"),
        control_repository: "acme/tenants".parse().expect("a name"),
        cluster: "default".to_owned(),
        git_host: "github.com".to_owned(),
        host_keys: None,
    })
}
