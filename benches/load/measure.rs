//! Counters of the server process, and the table.

use std::time::{Duration, Instant};

use crate::support::{Cluster, portcullis};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As much as it takes for figures that hold: the kernel counts CPU time in steps of 10 ms.
    Full,
    /// A hundredth.
    Small,
}

impl Scale {
    /// A number of operations, connections or objects at this scale.
    pub fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Small => (full / 100).max(2),
        }
    }

    /// How often a measurement is made; the median counts.
    pub fn rounds(self) -> usize {
        match self {
            Self::Full => 3,
            Self::Small => 1,
        }
    }
}

/// One line of the table.
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub goal: Goal,
    pub note: String,
}

/// What the issue asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing: it stands there for comparison.
    None,
}

/// What an operation cost: the median of some rounds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Microseconds of the server's CPU time, user and system.
    pub micros: f64,
    /// Operations a second, by the clock on the wall.
    pub rate: f64,
}

/// CPU time and wall time since a start.
pub struct Span {
    pid: u32,
    cpu: Duration,
    begun: Instant,
}

impl Span {
    pub fn begin(cluster: &Cluster) -> Self {
        Self { pid: cluster.pid(), cpu: cpu(cluster.pid()), begun: Instant::now() }
    }

    /// What each of so many operations cost.
    pub fn end(&self, operations: usize) -> Cost {
        let cpu = cpu(self.pid).saturating_sub(self.cpu);
        let operations = operations as f64;
        Cost { micros: cpu.as_secs_f64() * 1e6 / operations, rate: operations / self.begun.elapsed().as_secs_f64() }
    }
}

/// The middle one by CPU time, with the middle rate.
pub fn median(costs: &[Cost]) -> Cost {
    let middle = |value: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost { micros: middle(|cost| cost.micros), rate: middle(|cost| cost.rate) }
}

/// User and system time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server's process");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory in bytes.
pub fn rss(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server's process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

/// The table, as the README has it.
pub fn print(rows: &[Row]) {
    println!("{}\n", machine());
    println!("| measurement | figure | asked for | |\n|---|---:|---:|---|");
    for Row { name, value, unit, goal, note } in rows {
        let figure = match value {
            0.0..10.0 => format!("{value:.2} {unit}"),
            10.0..1000.0 => format!("{value:.1} {unit}"),
            _ => format!("{value:.0} {unit}"),
        };
        let (goal, met) = match *goal {
            Goal::AtMost(most) => (format!("<= {most} {unit}"), *value <= most),
            Goal::AtLeast(least) => (format!(">= {least} {unit}"), *value >= least),
            Goal::None => (String::new(), true),
        };
        let missed = if met { "" } else { "**missed** " };
        println!("| {name} | {figure} | {goal} | {missed}{note} |");
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let binary = portcullis();
    let size = std::fs::metadata(&binary).map_or(0, |meta| meta.len()) as f64 / f64::from(1 << 20);
    let folder = binary.parent().and_then(|parent| parent.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    format!(
        "{cores} cores of an {model}, Linux {}; clients and etcd on the same cores; profile `{folder}`, binary of {size:.1} MiB; \
         CPU time is user + system of the server process, the median of three rounds.",
        kernel.trim()
    )
}
