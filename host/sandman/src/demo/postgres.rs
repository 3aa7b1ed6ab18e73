//! A PostgreSQL that the demo starts with the installed programs.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use super::tethered::TetheredServer;

const MISSING: &str = "the demo of a fleet needs PostgreSQL 14 or newer, and found no `initdb`: install it (Debian: apt-get install \
                       postgresql; macOS: brew install postgresql@17), or put the folder of `initdb` and `postgres` into PATH";

/// The uid of `nobody`, because the server refuses to run as root.
const NOBODY: u32 = 65_534;

/// Where the tests keep a downloaded server, in a checkout.
const FETCHED: &str = "target/postgres-17.5/bin";

/// The folder of the server's programs.
#[derive(Clone, Debug)]
pub(super) struct PgPrograms(PathBuf);

impl PgPrograms {
    /// Searches PATH, Debian's folder, and the folder of the checkout's tests.
    pub(super) fn find(repository: &Path) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
            .collect();
        // The newest first.
        installed.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let mut places = std::env::split_paths(&path)
            .chain(installed.into_iter().map(|(_, bin)| bin))
            .chain([repository.join(FETCHED)]);
        let found = places.find(|bin| ["initdb", "postgres"].iter().all(|name| bin.join(name).is_file()));
        found.map(Self).context(MISSING)
    }

    /// Copies the programs to a place where `nobody` can start them, in case they are below root's home.
    fn handed_over(&self, folder: &Path) -> Result<PathBuf> {
        let bin = fs::canonicalize(self.0.join("initdb"))?;
        let bin = bin.parent().context("`initdb` is in no folder")?;
        let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o001 != 0);
        if bin.ancestors().all(open) {
            return Ok(bin.to_owned());
        }
        let copy = folder.join("server");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(bin.parent().unwrap_or(bin))
            .arg(&copy)
            .status()?;
        if !copied.success() {
            bail!("{} cannot be copied", bin.display());
        }
        Ok(copy.join("bin"))
    }
}

/// The running server.
pub(super) struct LocalPostgres {
    _server: TetheredServer,
    port: u16,
    /// The password of the hosts.
    pub(super) password: String,
}

impl LocalPostgres {
    /// Creates a cluster in `folder` and serves it on a free port of the loopback interface.
    pub(super) fn start(programs: &PgPrograms, folder: &Path) -> Result<Self> {
        let home = folder.join("postgres");
        fs::create_dir(&home)?;
        let is_root = fs::metadata(&home)?.uid() == 0;
        let user = is_root.then_some(NOBODY);
        let bin = match is_root {
            true => programs.handed_over(folder)?,
            false => programs.0.clone(),
        };
        let password = Uuid::new_v4().to_string();
        let secret = home.join("password");
        fs::write(&secret, &password)?;
        if let Some(user) = user {
            // The server must be able to enter its folder below ours.
            fs::set_permissions(folder, Permissions::from_mode(0o711))?;
            chown(&home, Some(user), Some(user))?;
            chown(&secret, Some(user), Some(user))?;
        }
        fs::set_permissions(&home, Permissions::from_mode(0o700))?;
        fs::set_permissions(&secret, Permissions::from_mode(0o600))?;
        initialize(&bin, &home, user)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (postgres, data) = (bin.join("postgres"), home.join("data"));
        let (postgres, data, at) = (postgres.display(), data.display(), port.to_string());
        let command = [
            &postgres.to_string(),
            "-D",
            &data.to_string(),
            "-p",
            &at,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ];
        let mut server = TetheredServer::start(("PostgreSQL", "QUIT"), &command, &home, user)?;
        server.wait_until(|said| said.contains("ready to accept connections"))?;
        Ok(Self {
            _server: server,
            port,
            password,
        })
    }

    /// Its URL, for `store.url`.
    pub(super) fn url(&self) -> String {
        format!("postgres://sandman@127.0.0.1:{}/postgres", self.port)
    }
}

fn initialize(bin: &Path, home: &Path, user: Option<u32>) -> Result<()> {
    let mut init = Command::new(bin.join("initdb"));
    init.args(["-A", "scram-sha-256", "-N", "-U", "sandman", "-E", "UTF8", "--pwfile"])
        .arg(home.join("password"))
        .arg("-D")
        .arg(home.join("data"))
        .current_dir(home)
        .env("LC_ALL", "C");
    if let Some(user) = user {
        init.uid(user).gid(user);
    }
    let made = init.output().context("initdb")?;
    if !made.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&made.stderr).trim_end());
    }
    Ok(())
}
