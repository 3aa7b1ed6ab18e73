//! The jars of an Apache Kafka broker, and of what is measured beside Sandman, resolved once by Maven into `target`.

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

/// Finds the broker's jars, or fetches them: 46 files, 115 MB, 10 to 25 s.
pub(super) fn jars() -> Result<Jars> {
    resolved("tests/kafka/pom.xml", "kafka").map(Jars)
}

/// The jars that a `pom.xml` of the repository names, in a folder of that name below `target`; fetched by Maven at the first use.
pub(crate) fn resolved(pom: &str, name: &str) -> Result<PathBuf> {
    needs("java", "-version")?;
    let root = target_dir()?.join(name);
    fs::create_dir_all(&root)?;
    // Two runs side by side: the second waits, then finds them.
    let lock = File::create(root.join("lock"))?;
    lock.lock()
        .with_context(|| format!("target/{name}/lock cannot be locked"))?;
    let path = repository().join(pom);
    let jars = root.join("jars");
    let wanted = fs::read(&path).with_context(|| format!("{pom} cannot be read"))?;
    let made_for = jars.join("pom.xml");
    if fs::read(&made_for).is_ok_and(|made_for| made_for == wanted) {
        return Ok(jars);
    }
    needs("mvn", "--version")?;
    if jars.exists() {
        fs::remove_dir_all(&jars)?;
    }
    fetch(&path, &jars)?;
    // Written last: with it the folder is complete.
    fs::write(&made_for, wanted)?;
    Ok(jars)
}

/// The jars for a Java program in a folder of the repository with a `pom.xml`, and its compiled classes.
pub(crate) fn program(folder: &str) -> Result<(PathBuf, PathBuf)> {
    let name = Path::new(folder)
        .file_name()
        .and_then(|name| name.to_str())
        .context("a folder without a name")?;
    let jars = resolved(&format!("{folder}/pom.xml"), name)?;
    needs("javac", "-version")?;
    let classes = target_dir()?.join(name).join("classes");
    let sources = fs::read_dir(repository().join(folder))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>>>()?;
    let java = sources
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"));
    let compiled = Command::new("javac")
        .arg("-cp")
        .arg(jars.join("*"))
        .arg("-d")
        .arg(&classes)
        .args(java)
        .output()
        .context("javac does not start")?;
    if !compiled.status.success() {
        bail!(
            "{folder} does not compile:\n{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
    }
    Ok((jars, classes))
}

fn fetch(pom: &Path, jars: &Path) -> Result {
    say(&format!(
        "fetching what {} names with Maven, once, into {}",
        pom.display(),
        jars.display()
    ));
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
        bail!(
            "mvn cannot fetch what {} names:\n{}",
            pom.display(),
            String::from_utf8_lossy(&said)
        );
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
