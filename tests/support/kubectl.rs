//! The kubectl that is on the PATH, with a home of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::etcd::Etcd;
use super::pki::Pki;
use super::{Output, Store, portcullis};

/// What commands find around them.
pub struct Shell {
    /// Where they run.
    pub folder: PathBuf,
    /// Variables, beside PATH.
    pub environment: Vec<(String, String)>,
}

/// `portcullis up` in a folder of its own.
pub struct Up {
    output: Output,
    dir: tempfile::TempDir,
    _etcd: Option<Etcd>,
}

/// kubectl with the settings of one user.
pub struct Kubectl {
    home: PathBuf,
    target: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Up {
    /// Starts it on a free port and waits until it says that it is ready.
    pub fn start(store: Store) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(portcullis());
        command.args(["up", "--address", "127.0.0.1:0", "--health", "127.0.0.1:0", "--dir"]).arg(dir.path().join("up"));
        let etcd = (store == Store::Etcd).then(|| {
            let pki = Pki::new(&dir.path().join("pki"), "ca");
            pki.server("etcd");
            let etcd = Etcd::start(dir.path(), &pki);
            command.args(["--etcd", &etcd.endpoint(), "--etcd-authority"]).arg(pki.path("ca.crt"));
            command.arg("--etcd-certificate").arg(pki.path("etcd.crt")).arg("--etcd-key").arg(pki.path("etcd.key"));
            etcd
        });
        let log = fs::File::create(dir.path().join("up.log")).unwrap();
        let mut output = Output::of(command.stdout(Stdio::piped()).stderr(log).spawn().expect("up starts"));
        output.wait_for("ready");
        Self { output, dir, _etcd: etcd }
    }

    /// Where its state and its kubeconfigs are.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("up")
    }

    pub fn pid(&self) -> u32 {
        self.output.pid()
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl_as("admin")
    }

    /// kubectl with one of the kubeconfigs.
    pub fn kubectl_as(&self, who: &str) -> Kubectl {
        let kubeconfig = self.dir().join(format!("{who}.kubeconfig"));
        assert!(kubeconfig.exists(), "no {}", kubeconfig.display());
        Kubectl::new(self.dir.path(), vec!["--kubeconfig".into(), kubeconfig.display().to_string()])
    }

    /// A shell whose kubectl is the administrator's, in an empty folder.
    pub fn shell(&self) -> Shell {
        let folder = self.dir.path().join("shell");
        fs::create_dir_all(&folder).unwrap();
        let name = |name: &str, path: PathBuf| (name.to_owned(), path.display().to_string());
        let environment = vec![name("HOME", self.dir.path().to_owned()), name("KUBECONFIG", self.dir().join("admin.kubeconfig"))];
        Shell { folder, environment }
    }

    /// `kubectl proxy` on a free port.
    pub fn proxy(&self) -> Proxy<'_> {
        let output = self.kubectl().spawn(&["proxy", "--port=0"]);
        Proxy::new(output, self.dir.path())
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// The same, executable.
    pub fn script(&self, name: &str, content: &str) -> String {
        let path = self.file(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// A running `kubectl proxy`.
pub struct Proxy<'a> {
    _output: Output,
    url: String,
    dir: &'a Path,
}

impl<'a> Proxy<'a> {
    fn new(mut output: Output, dir: &'a Path) -> Self {
        let line = output.wait_for("Starting to serve on");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { _output: output, url: format!("http://{address}"), dir }
    }

    /// A kubectl without any credential that talks to the proxy.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.dir, vec!["--server".into(), self.url.clone(), "--kubeconfig=/dev/null".into()])
    }
}

impl Kubectl {
    fn new(dir: &Path, target: Vec<String>) -> Self {
        let home = dir.join("home");
        fs::create_dir_all(&home).unwrap();
        Self { home, target, environment: Vec::new() }
    }

    /// Whether there is one.
    pub fn installed() -> bool {
        let found = Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    }

    /// The same with one more variable in its environment.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut environment = self.environment.clone();
        environment.push((name.to_owned(), value.to_owned()));
        Self { home: self.home.clone(), target: self.target.clone(), environment }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.env("HOME", &self.home).env_remove("KUBECONFIG").envs(self.environment.iter().cloned());
        command.args(&self.target).args(args);
        command
    }

    /// Runs it; its standard output. It must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("kubectl is on the PATH");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {}: {}\n{out}{err}", args.join(" "), output.status);
        out.into_owned()
    }

    /// Runs it; its standard error. It must fail.
    pub fn fail(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("kubectl is on the PATH");
        assert!(!output.status.success(), "kubectl {} succeeded", args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs it; its standard output. It must fail.
    pub fn fail_out(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("kubectl is on the PATH");
        assert!(!output.status.success(), "kubectl {} succeeded", args.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts it and leaves it running.
    pub fn spawn(&self, args: &[&str]) -> Output {
        Output::of(self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kubectl is on the PATH"))
    }
}
