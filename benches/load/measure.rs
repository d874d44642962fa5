//! Counters of the server process, and the table.

use std::time::Instant;

use crate::support::Cluster;

/// One line of the table.
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// What the issue asks for: at most, or at least when the unit is a rate.
    pub goal: Option<f64>,
    pub note: String,
}

/// CPU time and wall time since a start.
pub struct Span {
    pid: u32,
    cpu: f64,
    begun: Instant,
}

impl Span {
    pub fn begin(cluster: &Cluster) -> Self {
        Self { pid: cluster.pid(), cpu: cpu(cluster.pid()), begun: Instant::now() }
    }

    /// Microseconds of CPU per operation, and operations a second.
    pub fn end(&self, operations: usize) -> (f64, f64) {
        let cpu = cpu(self.pid) - self.cpu;
        (cpu * 1e6 / operations as f64, operations as f64 / self.begun.elapsed().as_secs_f64())
    }
}

/// Seconds of user and system time that a process has used.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server's process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}

/// Resident memory in MB.
pub fn rss(cluster: &Cluster) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid())).expect("the server's process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") / 1024.0
}

/// The memory of this moment as a line of the table.
pub fn memory(name: &str, cluster: &Cluster, goal: f64) -> Row {
    Row { name: name.to_owned(), value: rss(cluster), unit: "MB", goal: Some(goal), note: String::new() }
}

/// The table, as the README has it.
pub fn print(rows: &[Row]) {
    println!("| measurement | figure | asked for | |");
    println!("|---|---|---|---|");
    for row in rows {
        let goal = row.goal.map_or(String::new(), |goal| match row.unit {
            "/s" => format!(">= {goal} {}", row.unit),
            unit => format!("<= {goal} {unit}"),
        });
        println!("| {} | {:.1} {} | {goal} | {} |", row.name, row.value, row.unit, row.note);
    }
}
