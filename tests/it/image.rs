//! The container image as scripts/image.sh writes it: the standard's layout, digests that are right, nothing in it that it does not
//! need, and the same bytes each time. The program in it is a stand-in; that the real one runs there is shown by scripts/check-image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::daemon::Home;

fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Writes an image with a stand-in for the program; gives its file.
fn image(home: &Home, name: &str) -> PathBuf {
    let program = home.write("program", "not a real one");
    let roots = home.write("roots.pem", "no roots");
    let file = home.path().join(format!("{name}.tar"));
    let script = format!(
        "set -euo pipefail; umask 022; . scripts/need.sh; . scripts/image.sh; export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1750000000 \
         TIDEGATE_CA_FILE='{}'; image_write '{}' 1.2.3 amd64 '{}' '{}'",
        roots.display(),
        program.display(),
        home.path().join(format!("{name}.work")).display(),
        file.display()
    );
    run("bash", &["-c", &script]);
    file
}

/// The blob that a descriptor names, when its digest and size are right.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = fs::read(layout.join("blobs/sha256").join(digest)).unwrap();
    assert_eq!(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>(), digest);
    assert_eq!(descriptor["size"].as_u64().unwrap(), bytes.len() as u64);
    bytes
}

#[test]
fn the_image_is_what_it_says_runs_as_nobody_and_holds_no_shell() {
    let home = Home::new();
    let file = image(&home, "one");
    let layout = home.path().join("layout");
    fs::create_dir(&layout).unwrap();
    run("tar", &["-xf", file.to_str().unwrap(), "-C", layout.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(layout.join("oci-layout")).unwrap().trim(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&blob(&layout, &index["manifests"][0])).unwrap();
    let config: Value = serde_json::from_slice(&blob(&layout, &manifest["config"])).unwrap();
    assert_eq!((config["architecture"].as_str(), config["os"].as_str()), (Some("amd64"), Some("linux")));
    assert_eq!(config["created"], "2025-06-15T15:06:40Z");
    let how = &config["config"];
    assert_eq!(how["User"], "65532:65532");
    assert_eq!(how["Entrypoint"], serde_json::json!(["/usr/bin/tidegate"]));
    assert_eq!(how["Healthcheck"]["Test"], serde_json::json!(["CMD", "/usr/bin/tidegate", "healthcheck"]));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.3");

    let layer = home.path().join("layer.tar.gz");
    fs::write(&layer, blob(&layout, &manifest["layers"][0])).unwrap();
    run("gzip", &["-d", layer.to_str().unwrap()]);
    let layer = home.path().join("layer.tar");
    let unpacked = fs::read(&layer).unwrap();
    let diff = Sha256::digest(&unpacked).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{diff}"));
    let listed = run("tar", &["--numeric-owner", "-tvf", layer.to_str().unwrap()]);
    let mut writable = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (mode, owner, name) = (words.next().unwrap(), words.next().unwrap(), words.nth(3).unwrap());
        if owner == "65532/65532" || mode.as_bytes()[8] == b'w' && !mode.starts_with('l') {
            writable.push(name);
        }
        assert!(owner == "0/0" || owner == "65532/65532", "{line}");
        assert!(
            mode.as_bytes()[3] != b's' && mode.as_bytes()[6] != b's',
            "a program with somebody else's rights: {line}"
        );
        let runs = mode.starts_with('-') && mode.contains('x');
        assert_eq!(runs, name == "./usr/bin/tidegate", "the program alone can be run: {line}");
    }
    writable.sort_unstable();
    assert_eq!(writable, ["./tmp/", "./var/lib/tidegate/var/"], "{listed}");
    for part in [
        "./etc/ssl/certs/ca-certificates.crt",
        "./etc/nsswitch.conf",
        "./usr/share/tidegate/connectors/hubspot/manifest.yaml",
    ] {
        assert!(listed.contains(part), "{part}\n{listed}");
    }
}

#[test]
fn the_same_source_makes_the_same_image() {
    let home = Home::new();
    let (one, two) = (image(&home, "one"), image(&home, "two"));
    assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
}
