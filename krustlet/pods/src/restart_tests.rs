//! What outlives an agent, or its watch.

use super::*;

#[test]
fn pods_go_on_after_the_agent_was_killed() {
    let world = World::new();
    let agent = world.agent();
    world.create_simple("web", "Always", "sleep");
    world.create_simple("once", "Never", "sleep");
    world.create_simple("done", "Never", "exit-0");
    world.create_simple("deleted", "Always", "sleep");
    world.create_simple("vanished", "Always", "sleep");
    for name in ["web", "once", "deleted", "vanished"] {
        world.until(name, ready);
    }
    world.until_phase("done", "Succeeded");
    agent.kill();
    world.delete("deleted", 30);
    world.delete("vanished", 0);
    let done = world.pod("done");
    let again = world.agent();
    let web = world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    let last = &container(&web, "main")["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("ContainerStatusUnknown")));
    assert_eq!(world.logs("web", "main"), ["0.log", "1.log"]);
    world.until_gone("deleted");
    assert_eq!(code(&world.until_phase("once", "Failed"), "main"), Some(137));
    assert_eq!(world.pod("done"), done, "what has ended stays as it is");
    world.until_folders(3);
    again.kill();
}

#[test]
fn pods_go_on_after_the_agent_was_stopped() {
    let world = World::new();
    let agent = world.agent();
    world.create_simple("web", "OnFailure", "spin");
    world.until("web", ready);
    let took = agent.stop();
    assert!(took < Duration::from_secs(6), "{took:?}");
    let pod = world.pod("web").unwrap();
    assert_eq!((&pod["status"]["phase"], ready(&pod), code(&pod, "main")), (&json!("Running"), false, Some(137)));
    let _again = world.agent();
    world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
}

#[test]
fn a_lost_watch_loses_nothing() {
    let world = World::new();
    let agent = world.agent();
    world.create_simple("first", "Always", "sleep");
    world.create_simple("stays", "Always", "sleep");
    world.until("first", ready);
    world.until("stays", ready);
    world.set_down(true);
    world.delete("first", 0);
    world.create_simple("second", "Always", "sleep");
    std::thread::sleep(Duration::from_secs(2));
    let start = Instant::now();
    world.set_down(false);
    world.until("second", ready);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    world.cut(true);
    world.create_simple("third", "Always", "sleep");
    world.until("third", ready);
    let start = Instant::now();
    while agent.directory.get("default", "first").is_some() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(container(&world.pod("stays").unwrap(), "main")["restartCount"], 0);
}

#[test]
fn what_others_wrote_over_is_said_again() {
    let world = World::new();
    let _agent = world.agent();
    world.create_simple("web", "Always", "sleep");
    world.until("web", ready);
    world.edit("web", |pod| {
        let conditions = pod["status"]["conditions"].as_array_mut().unwrap();
        let ready = conditions.iter_mut().find(|condition| condition["type"] == "Ready").unwrap();
        (ready["status"], ready["reason"]) = (json!("False"), json!("NodeNotReady"));
    });
    let pod = world.until("web", ready);
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["reason"].is_null()), "{conditions:?}");
}
