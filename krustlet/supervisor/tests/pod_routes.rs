//! The real program in a network namespace of its own, as in a container. Only root makes one.
#![cfg(feature = "root-tests")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Nobody on this machine.
const USER: u32 = 54_321;
const NET_ADMIN: u64 = 1 << 12;

struct World {
    folder: tempfile::TempDir,
    supervisor: Child,
}

impl World {
    /// A namespace with one interface on 172.30.0.0/16, and the supervisor in it with a file that asks for this.
    fn new(routes: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        chown(folder.path(), Some(USER), Some(USER))?;
        fs::write(folder.path().join("routes"), routes)?;
        let (path, program) = (folder.path().display(), env!("CARGO_BIN_EXE_krustlet-supervisor"));
        let script = format!(
            "set -e
            ip link set lo up
            ip link add eth0 type veth peer name eth1
            ip link set eth1 up
            ip address add 172.30.0.2/16 dev eth0
            ip link set eth0 up
            exec {program} --user={USER}:{USER} --pod-routes={path}/routes --log-file={path}/log -- \
                /bin/sh -c 'echo $$ >>{path}/runs; exec sleep 1000'"
        );
        let supervisor = Command::new("unshare").args(["--net", "/bin/sh", "-c", &script]).spawn()?;
        Ok(Self { folder, supervisor })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As an agent asks for something else.
    fn ask(&self, routes: &str) -> Outcome {
        fs::write(self.path("new"), routes)?;
        Ok(fs::rename(self.path("new"), self.path("routes"))?)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The ids of the program's runs.
    fn runs(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.path("runs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn keeper(&self) -> Outcome<i32> {
        let id = self.supervisor.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let mut children = children.split_whitespace();
        let is_keeper =
            |child: &&str| fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "pod-routes\n");
        Ok(children.find(is_keeper).ok_or("no keeper")?.parse()?)
    }

    /// Whether a server at that address answers in there.
    fn serves(&self, address: [u8; 4]) -> Outcome<bool> {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.supervisor.id()))?;
        let answers = thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .is_ok_and(|()| answers(Ipv4Addr::from(address)).unwrap_or(false))
        });
        Ok(answers.join().unwrap_or(false))
    }

    /// The routes that are its own, in the words of iproute2.
    fn routes(&self) -> Outcome<Vec<String>> {
        let namespace = format!("--net=/proc/{}/ns/net", self.supervisor.id());
        let argv = ["ip", "-4", "route", "show", "table", "all", "proto", "107"];
        let printed = Command::new("nsenter").arg(namespace).args(argv).output()?;
        Ok(String::from_utf8(printed.stdout)?.lines().map(|line| line.trim().to_owned()).collect())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn answers(address: Ipv4Addr) -> std::io::Result<bool> {
    let listener = TcpListener::bind((address, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    listener.accept()?.0.write_all(b"yes")?;
    let mut text = String::new();
    client.read_to_string(&mut text)?;
    Ok(text == "yes")
}

fn until(what: &str, mut so: impl FnMut() -> Outcome<bool>) -> Outcome {
    let begun = Instant::now();
    while !so()? {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(format!("{what}: never").into());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Of a process: its capabilities (permitted, effective, inheritable, bounding, ambient), and whether it can get others, and its user.
fn rights(process: i32) -> Outcome<([u64; 5], String, String)> {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.map(str::to_owned).ok_or_else(|| format!("no {name}"))
    };
    let mut sets = [0; 5];
    for (set, name) in sets.iter_mut().zip(["CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"]) {
        *set = u64::from_str_radix(&field(name)?, 16)?;
    }
    Ok((sets, field("NoNewPrivs")?, field("Uid")?))
}

#[test]
fn a_program_without_rights_gets_the_routes_that_it_asks_for() -> Outcome {
    let asked = "range 10.9.0.0/24\nroute 10.9.1.0/24 via 172.30.0.3\nrange 172.30.1.0/24\n";
    let mut world = World::new(asked)?;
    until("the program's start", || Ok(world.runs().len() == 1))?;
    until("the range", || world.serves([10, 9, 0, 5]))?;
    until("the route", || {
        Ok(world.routes()?
            == ["10.9.1.0/24 via 172.30.0.3 dev eth0", "local 10.9.0.0/24 dev lo table local scope host"])
    })?;
    assert!(!world.serves([10, 9, 1, 5])?, "another node's");
    let fault = "172.30.1.0/24 overlaps 172.30.0.0/16, which is an interface's own or asked for before\n";
    assert!(world.log().contains(fault), "{}", world.log());

    let everybody = format!("{USER}\t{USER}\t{USER}\t{USER}");
    for process in [world.supervisor.id().try_into()?, world.runs()[0]] {
        assert_eq!(rights(process)?, ([0; 5], "1".into(), everybody.clone()));
    }
    assert_eq!(rights(world.keeper()?)?, ([NET_ADMIN, NET_ADMIN, 0, 0, 0], "1".into(), everybody));

    world.ask("range 10.8.0.0/24\nroute 10.9.1.0/24 via 172.30.0.4\n")?;
    until("another range", || world.serves([10, 8, 0, 5]))?;
    until("the end of the first", || Ok(!world.serves([10, 9, 0, 5])?))?;
    let now = ["10.9.1.0/24 via 172.30.0.4 dev eth0", "local 10.8.0.0/24 dev lo table local scope host"];
    until("another way", || Ok(world.routes()? == now))?;

    let keeper = world.keeper()?;
    kill_process(Pid::from_raw(world.runs()[0]).ok_or("no id")?, Signal::KILL)?;
    until("another run", || Ok(world.runs().len() == 2))?;
    assert_eq!((world.keeper()?, world.serves([10, 8, 0, 5])?), (keeper, true));

    kill_process(Pid::from_child(&world.supervisor), Signal::TERM)?;
    assert_eq!(world.supervisor.wait()?.code(), Some(0));
    // One that has ended and whose parent has gone is there, without a command line, until somebody asks after it.
    until("the keeper's end", || {
        Ok(fs::read(format!("/proc/{keeper}/cmdline")).map_or(true, |arguments| arguments.is_empty()))
    })
}

#[test]
fn a_keeper_that_has_ended_is_told_of_and_its_routes_stay() -> Outcome {
    let world = World::new("range 10.9.0.0/24\n")?;
    until("the range", || world.serves([10, 9, 0, 5]))?;
    kill_process(Pid::from_raw(world.keeper()?).ok_or("no id")?, Signal::KILL)?;
    until("the word of it", || {
        Ok(world.log().contains("krustlet-supervisor: what keeps the pods' routes was ended by signal 9; "))
    })?;
    assert!(world.serves([10, 9, 0, 5])?);
    assert_eq!(world.runs().len(), 1);
    Ok(())
}
