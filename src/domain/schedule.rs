//! When a job is due: intervals and cron lines, with a zone and a spread.
