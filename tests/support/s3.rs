//! An S3 server of the tests' own, S3Proxy, which keeps its buckets in a folder. It checks signatures, and speaks TLS with a
//! certificate that its clients are told to trust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, anyhow, ensure};
use rustix::process::Signal;
use uuid::Uuid;

use crate::Result;
use crate::broker::maven;
use crate::keeper::keeper;
use crate::paths::repository;
use crate::process::Process;

/// The only user.
const USER: &str = "sandman-tests";
/// The user's secret, which no host may show.
pub const S3_SECRET: &str = "Bk5vqS9wZ2-never-to-be-seen";
/// Of the file with the server's key; the program that makes it wants six characters.
const STORE_PASSWORD: &str = "changeit";

/// A server, perhaps one that does not run at the moment.
pub struct S3Server {
    folder: PathBuf,
    /// Where it listens, from its first start on.
    port: u16,
    process: Option<Process>,
}

impl S3Server {
    /// The server of all tests that do not stop it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn shared() -> Result<&'static Self> {
        static SERVER: OnceLock<Result<S3Server>> = OnceLock::new();
        let server = SERVER.get_or_init(Self::start).as_ref();
        server.map_err(|error| anyhow!("the S3 server does not start: {error:#}"))
    }

    /// Starts one on a free port.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start() -> Result<Self> {
        let folder = keeper()?.folder().join(format!("s3-{}", Uuid::new_v4().simple()));
        fs::create_dir_all(folder.join("buckets"))?;
        make_key(&folder)?;
        let mut server = Self {
            folder,
            port: 0,
            process: None,
        };
        server.go_on()?;
        Ok(server)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Stops it where it stands, until [`S3Server::thaw`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result {
        self.running()?.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result {
        self.running()?.signal(Signal::CONT)
    }

    fn running(&self) -> Result<&Process> {
        self.process.as_ref().context("the S3 server is not running")
    }

    /// Starts it again where it listened before, with what it had.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn go_on(&mut self) -> Result {
        let settings = self.folder.join("s3proxy.conf");
        let lines = [
            "s3proxy.authorization=aws-v2-or-v4".to_owned(),
            format!("s3proxy.secure-endpoint=https://127.0.0.1:{}", self.port),
            format!("s3proxy.keystore-path={}", self.folder.join("key.p12").display()),
            format!("s3proxy.keystore-password={STORE_PASSWORD}"),
            format!("s3proxy.identity={USER}"),
            format!("s3proxy.credential={S3_SECRET}"),
            "jclouds.provider=filesystem-nio2".to_owned(),
            "jclouds.identity=unused".to_owned(),
            "jclouds.credential=unused".to_owned(),
            format!("jclouds.filesystem.basedir={}", self.folder.join("buckets").display()),
        ];
        fs::write(&settings, lines.join("\n"))?;
        let jars = maven::resolved("tests/s3/pom.xml", "s3")?;
        let log = repository().join("tests/s3/logback.xml");
        let mut java = Command::new("java");
        java.args([
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
        ])
        .arg(format!("-Dlogback.configurationFile={}", log.display()))
        .arg("-cp")
        .arg(jars.join("*"))
        .arg("org.gaul.s3proxy.Main")
        .arg("--properties")
        .arg(&settings);
        let process = Process::start("the S3 server", &mut java)?;
        let started = process.stdout.wait_for(|line| line.contains("Started ServerConnector"));
        let started = started.with_context(|| format!("it ended with:\n{}", process.written()))?;
        let port = started.rsplit_once(':').and_then(|(_, rest)| rest.split('}').next());
        self.port = port
            .and_then(|port| port.parse().ok())
            .with_context(|| format!("no port in {started:?}"))?;
        self.process = Some(process);
        Ok(())
    }

    /// Makes a bucket, and returns the folder with what is in it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_bucket(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("buckets").join(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// What a host's environment says of the server.
    pub fn environment(&self) -> Vec<(String, String)> {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            of("AWS_ENDPOINT_URL", &format!("https://127.0.0.1:{}", self.port)),
            of("AWS_REGION", "us-east-1"),
            of("AWS_ACCESS_KEY_ID", USER),
            of("AWS_SECRET_ACCESS_KEY", S3_SECRET),
            of("SSL_CERT_FILE", &self.folder.join("cert.pem").to_string_lossy()),
        ]
    }
}

/// A key of the server's own in `key.p12`, and its certificate in `cert.pem`.
fn make_key(folder: &Path) -> Result {
    let make = [
        "-genkeypair",
        "-keyalg",
        "EC",
        "-groupname",
        "secp256r1",
        "-dname",
        "CN=s3",
    ];
    let make = [&make[..], &["-ext", "SAN=IP:127.0.0.1", "-validity", "2"]].concat();
    keytool(folder, &make)?;
    keytool(folder, &["-exportcert", "-rfc", "-file", "cert.pem"])
}

fn keytool(folder: &Path, arguments: &[&str]) -> Result {
    let store = [
        "-alias",
        "s3",
        "-keystore",
        "key.p12",
        "-storetype",
        "PKCS12",
        "-storepass",
    ];
    let mut keytool = Command::new("keytool");
    keytool.args(arguments).args(store).arg(STORE_PASSWORD);
    let ended = keytool.current_dir(folder).output().context("keytool does not start")?;
    ensure!(
        ended.status.success(),
        "keytool: {}",
        String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat())
    );
    Ok(())
}
