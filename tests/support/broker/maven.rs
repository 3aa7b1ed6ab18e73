//! The jars of an Apache Kafka broker, resolved once by Maven into `target/kafka`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::Result;
use crate::harness::say;
use crate::paths::{repository, target_dir};

/// The folder with the jars.
#[derive(Clone)]
pub(crate) struct Jars(pub(super) PathBuf);

/// Finds the jars, or fetches them: 46 files, 115 MB, 10 to 25 s.
pub(super) fn jars() -> Result<Jars> {
    needs("java", "-version")?;
    let root = target_dir()?.join("kafka");
    fs::create_dir_all(&root)?;
    // Two runs side by side: the second waits, then finds them.
    let lock = File::create(root.join("lock"))?;
    lock.lock().context("target/kafka/lock cannot be locked")?;
    let pom = repository().join("tests/kafka/pom.xml");
    let jars = root.join("jars");
    let wanted = fs::read(&pom).context("tests/kafka/pom.xml cannot be read")?;
    let made_for = jars.join("pom.xml");
    if fs::read(&made_for).is_ok_and(|made_for| made_for == wanted) {
        return Ok(Jars(jars));
    }
    needs("mvn", "--version")?;
    if jars.exists() {
        fs::remove_dir_all(&jars)?;
    }
    fetch(&pom, &jars)?;
    // Written last: with it the folder is complete.
    fs::write(&made_for, wanted)?;
    Ok(Jars(jars))
}

fn fetch(pom: &Path, jars: &Path) -> Result {
    say("fetching Apache Kafka with Maven, once, into target/kafka");
    let started = Instant::now();
    let maven = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg("-f")
        .arg(pom)
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .output()
        .context("mvn does not start")?;
    if !maven.status.success() {
        let said = [maven.stdout, maven.stderr].concat();
        bail!("mvn cannot fetch Apache Kafka:\n{}", String::from_utf8_lossy(&said));
    }
    say(&format!("fetched in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn needs(program: &str, question: &str) -> Result {
    let answer = Command::new(program).arg(question).output();
    match answer {
        Ok(answer) if answer.status.success() => Ok(()),
        _ => bail!("`{program}` is not installed"),
    }
}
