//! One line per job while it runs.
//!
//! Owns the lines. On a terminal they are drawn over each other; elsewhere a line is written now and then, and one at the
//! end. Goes to standard error, so that standard output stays the command's answer. Refuses to fail a run: what cannot be
//! drawn is not drawn.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::words::{cut, plain, span};
use crate::domain::counts::Counts;

/// A terminal is drawn at most this often.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// A job writes a plain line at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// What does not fit a terminal's line would break the drawing.
const USUAL_WIDTH: usize = 100;

/// How far a job has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    pub connection_key: String,
    pub stream: String,
    pub page: i64,
    pub counts: Counts,
    /// Since the run began.
    pub elapsed: Duration,
    /// Bytes of a file that were read, and how many it has.
    pub read: Option<(u64, u64)>,
    /// How it ended, e.g. `partial: rate_limited`; `None` while it runs.
    pub end: Option<String>,
}

impl JobProgress {
    /// `acme-hubspot contacts  page 12  seen 1200 created 1180 failed 3  2.1s`; buckets without a record are left out.
    pub fn line(&self) -> String {
        let counts = &self.counts;
        let mut line = format!("{} {}  ", plain(&self.connection_key), plain(&self.stream));
        if let Some((read, of)) = self.read {
            line.push_str(&bar(read, of));
        }
        line.push_str(&format!("page {}  seen {}", self.page, counts.seen));
        for (name, count) in [
            ("created", counts.created),
            ("updated", counts.updated),
            ("unchanged", counts.unchanged),
            ("duplicate", counts.duplicate),
            ("ignored", counts.ignored),
            ("failed", counts.failed),
        ] {
            if count > 0 {
                line.push_str(&format!(" {name} {count}"));
            }
        }
        line.push_str(&format!("  {}", span(self.elapsed)));
        if let Some(end) = &self.end {
            line.push_str(&format!("  {}", plain(end)));
        }
        line
    }

    fn key(&self) -> (&str, &str) {
        (&self.connection_key, &self.stream)
    }
}

/// `[####......]  41 %  `
fn bar(read: u64, of: u64) -> String {
    const WIDTH: u64 = 10;
    let share = |whole: u64| u128::from(read.min(of)) * u128::from(whole) / u128::from(of.max(1));
    let full = usize::try_from(share(WIDTH)).unwrap_or_default();
    format!("[{:.<10}] {:>3} %  ", "#".repeat(full), share(100))
}

/// Where progress is drawn. Shared by all workers.
pub struct ProgressBoard<W: Write> {
    inner: Mutex<Board<W>>,
}

struct Board<W: Write> {
    out: W,
    width: Option<usize>,
    running: Vec<(JobProgress, Option<Duration>)>,
    /// Lines of the block that stand on the terminal now.
    drawn: usize,
    drawn_at: Option<Duration>,
}

impl ProgressBoard<io::Stderr> {
    /// On standard error, as it is.
    pub fn of_stderr() -> Self {
        let terminal = io::stderr().is_terminal();
        let width = comfy_table::Table::new().use_stderr().width().map_or(USUAL_WIDTH, usize::from);
        Self::new(io::stderr(), terminal.then_some(width))
    }
}

impl<W: Write> ProgressBoard<W> {
    /// `width`: columns of the terminal; `None` writes plain lines.
    pub fn new(out: W, width: Option<usize>) -> Self {
        Self { inner: Mutex::new(Board { out, width, running: Vec::new(), drawn: 0, drawn_at: None }) }
    }

    /// Takes a job's news; `now` is the monotonic time of the caller's clock. A job with an `end` is drawn a last time.
    pub fn update(&self, now: Duration, job: JobProgress) {
        let mut board = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let news = if board.width.is_some() { board.draw(now, job) } else { board.write(now, job) };
        // A progress line that cannot be written (a closed pipe) is no reason to stop a run.
        drop(news);
    }
}

impl<W: Write> Board<W> {
    /// Plain lines: the first news, then now and then, then the end.
    fn write(&mut self, now: Duration, job: JobProgress) -> io::Result<()> {
        let index = self.running.iter().position(|(known, _)| known.key() == job.key());
        let written_at = index.and_then(|i| self.running.get(i)).and_then(|(_, at)| *at);
        let due = job.end.is_some() || written_at.is_none_or(|at| now.saturating_sub(at) >= LINE_EVERY);
        if let Some(index) = index {
            self.running.swap_remove(index);
        }
        let line = job.line();
        if job.end.is_none() {
            self.running.push((job, if due { Some(now) } else { written_at }));
        }
        if due {
            writeln!(self.out, "{line}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// The block of running jobs at the bottom; jobs that ended stay above it.
    fn draw(&mut self, now: Duration, job: JobProgress) -> io::Result<()> {
        let index = self.running.iter().position(|(known, _)| known.key() == job.key());
        let ended = job.end.is_some().then(|| job.line());
        match (index, ended.is_some()) {
            (Some(index), true) => drop(self.running.remove(index)),
            (Some(index), false) => {
                if let Some(slot) = self.running.get_mut(index) {
                    slot.0 = job;
                }
            }
            (None, true) => {}
            (None, false) => self.running.push((job, None)),
        }
        let due = self.drawn_at.is_none_or(|at| now.saturating_sub(at) >= REDRAW_EVERY);
        if ended.is_none() && !due {
            return Ok(());
        }
        self.drawn_at = Some(now);
        let width = self.width.unwrap_or(USUAL_WIDTH).saturating_sub(1);
        let mut block = String::new();
        if self.drawn > 0 {
            block.push_str(&format!("\x1b[{}A", self.drawn));
        }
        // Everything from here to the end of the screen is ours.
        block.push_str("\r\x1b[J");
        if let Some(line) = ended {
            block.push_str(&cut(&line, width));
            block.push('\n');
        }
        for (job, _) in &self.running {
            block.push_str(&cut(&job.line(), width));
            block.push('\n');
        }
        self.drawn = self.running.len();
        self.out.write_all(block.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(stream: &str, page: i64, end: Option<&str>) -> JobProgress {
        JobProgress {
            connection_key: "acme-hubspot".to_owned(),
            stream: stream.to_owned(),
            page,
            counts: Counts { seen: 1_200, created: 1_180, unchanged: 17, failed: 3, ..Counts::default() },
            elapsed: Duration::from_millis(2_100),
            read: None,
            end: end.map(str::to_owned),
        }
    }

    fn told(width: Option<usize>, news: Vec<(u64, JobProgress)>) -> String {
        let board = ProgressBoard::new(Vec::new(), width);
        for (millis, job) in news {
            board.update(Duration::from_millis(millis), job);
        }
        String::from_utf8(board.inner.into_inner().unwrap().out).unwrap()
    }

    #[test]
    fn without_a_terminal_a_job_tells_its_beginning_its_end_and_little_between() {
        let news = vec![
            (0, job("contacts", 1, None)),
            (100, job("contacts", 2, None)),
            (5_100, job("contacts", 3, None)),
            (5_200, job("contacts", 4, Some("succeeded"))),
        ];
        let text = told(None, news);
        let pages: Vec<_> = text.lines().filter_map(|l| l.split("  ").nth(1)).collect();
        assert_eq!(pages, ["page 1", "page 3", "page 4"]);
        let last = "acme-hubspot contacts  page 4  seen 1200 created 1180 unchanged 17 failed 3  2.1s  succeeded";
        assert_eq!(text.lines().last(), Some(last));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_file_tells_how_much_of_it_was_read() {
        for (read, of, drawn) in
            [(0, 0, "[..........]   0 %"), (41, 100, "[####......]  41 %"), (7, 7, "[##########] 100 %")]
        {
            let line = JobProgress { read: Some((read, of)), ..job("leads", 1, None) }.line();
            assert!(line.starts_with(&format!("acme-hubspot leads  {drawn}  page 1")), "{line}");
        }
    }

    #[test]
    fn on_a_terminal_the_block_is_drawn_over_and_ended_jobs_stay_above_it() {
        let news = vec![
            (0, job("contacts", 1, None)),
            (10, job("deals", 1, None)),
            (200, job("deals", 2, None)),
            (250, job("contacts", 2, Some("succeeded"))),
        ];
        let text = told(Some(40), news);
        let frames: Vec<_> = text.split("\x1b[J").collect();
        assert_eq!(frames.len(), 4, "the second piece of news came too soon to be drawn: {text:?}");
        assert!(frames[2].contains("deals  page 2") && frames[2].ends_with("\x1b[2A\r"), "{text:?}");
        let lines: Vec<_> = frames[3].lines().collect();
        assert!(lines[0].contains("contacts  page 2") && lines[1].contains("deals  page 2"), "{text:?}");
        assert!(frames[1..].iter().flat_map(|frame| frame.lines()).all(|line| line.chars().count() < 40));
    }
}
