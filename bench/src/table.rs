//! One line per scenario, the header once.

/// What one round measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Round {
    pub sockets: usize,
    pub polls_per_second: f64,
    /// Seconds of CPU per second.
    pub user: f64,
    pub system: f64,
    /// Microseconds of CPU per poll, of the recorder and of the floor.
    pub poll_us: f64,
    pub floor_us: f64,
    pub records_per_second: f64,
    pub rss: u64,
    pub bytes_per_record: f64,
    pub files: u64,
    pub records: u64,
    pub lost: String,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.poll_us / self.floor_us
    }

    /// Microseconds of CPU beyond the floor, per record.
    fn beyond_us(&self) -> f64 {
        (self.poll_us - self.floor_us) * self.polls_per_second / self.records_per_second
    }
}

const HEADER: &str = "| scenario | sockets | polls/s | CPU user | CPU system | us a poll | floor | ratio | records/s | us beyond the floor a record | RSS MB | bytes a record | files | records | lost |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Prints the rounds, the one in the middle (by ratio) last and in bold.
pub(crate) fn print(name: &str, mut rounds: Vec<Round>) {
    println!("{HEADER}");
    for (number, round) in rounds.iter().enumerate() {
        println!("{}", line(&format!("{name}, round {}", number + 1), round));
    }
    rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    if let Some(median) = rounds.get(rounds.len() / 2) {
        println!("{}", line(&format!("**{name}, median**"), median));
    }
}

fn line(name: &str, round: &Round) -> String {
    let Round { sockets, polls_per_second, user, system, poll_us, floor_us, .. } = round;
    let Round { records_per_second, rss, bytes_per_record, files, records, lost, .. } = round;
    format!(
        "| {name} | {sockets} | {polls_per_second:.1} | {user:.3} | {system:.3} | {poll_us:.0} | {floor_us:.0} | {:.3} | {records_per_second:.0} | {:.2} | {:.1} | {bytes_per_record:.1} | {files} | {records} | {lost} |",
        round.ratio(),
        round.beyond_us(),
        *rss as f64 / 1e6,
    )
}
