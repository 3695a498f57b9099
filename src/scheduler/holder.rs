//! Who holds a lease: a name that says machine, process and birth, so that a dead holder on this machine is known as dead.
//!
//! A dead holder's lease may be taken before it runs out. That is safe because the claim raises the fence: a process that is
//! gone cannot write, and a statement of its that the server still finishes fails the fence or came before it. It only saves
//! waiting; where nothing can be known (another machine, another pid namespace) the lease simply runs out.

use std::{fs, path::Path};

/// The name under which this process holds leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What pids are unique within: the boot and the pid namespace.
    scope: String,
    name: String,
}

impl Holder {
    /// This process.
    pub fn current() -> Self {
        let pid = std::process::id();
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "host".to_owned());
        let scope = scope();
        let born = born(pid).unwrap_or_default();
        let name = format!("{host}/{scope}/{pid}/{born}");
        Self { scope, name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `owner` was a process of this boot and pid namespace that is gone.
    pub fn is_dead(&self, owner: &str) -> bool {
        if self.scope.is_empty() {
            return false;
        }
        let mut parts = owner.rsplit('/');
        let (Some(birth), Some(pid), Some(scope)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let Ok(pid) = pid.parse::<u32>() else {
            return false;
        };
        scope == self.scope && !birth.is_empty() && born(pid).as_deref() != Some(birth)
    }
}

/// Boot id and pid namespace in short; empty when this system does not tell.
fn scope() -> String {
    let boot = read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let digits: String = namespace.chars().filter(char::is_ascii_digit).collect();
    match (boot.get(..8), digits.is_empty()) {
        (Some(boot), false) => format!("{boot}-{digits}"),
        _ => String::new(),
    }
}

/// When a process was started, in clock ticks since boot: tells a reused pid from the old one. `None`: there is none, or only
/// a zombie is left of it.
fn born(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The command name may hold spaces and parentheses; the fields are counted after its last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, started) = (fields.first()?, fields.get(19)?);
    (!matches!(*state, "Z" | "X")).then(|| (*started).to_owned())
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive_and_a_finished_child_is_dead() {
        let us = Holder::current();
        assert!(!us.is_dead(us.name()));
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep is everywhere");
        let pid = child.id();
        let name = format!("h/{}/{pid}/{}", us.scope, born(pid).expect("it runs"));
        assert!(!us.is_dead(&name));
        child.kill().expect("it runs");
        assert!(
            us.is_dead(&name) || born(pid).is_some(),
            "killed but not yet reaped counts as dead once it is a zombie"
        );
        child.wait().expect("it ends");
        assert!(us.is_dead(&name));
    }

    #[test]
    fn nothing_is_said_about_another_machine_or_a_name_we_do_not_understand() {
        let us = Holder::current();
        for owner in ["", "somebody", "host/other-boot-1/1/1", "host/a/b/c"] {
            assert!(!us.is_dead(owner), "{owner}");
        }
    }
}
