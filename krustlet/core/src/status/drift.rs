//! Telling whether somebody else has changed a pod's status. Pure.
//!
//! The node controller does, for one: it takes back `Ready` from the pods of a node that it has not heard of for a while, and it is
//! for the node to say that they are ready after all.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

/// Whether what the API server has differs from what was told, in what the agent answers for. Conditions and fields of others do
/// not count, nor do times.
pub fn differs(told: &PodStatus, there: &PodStatus) -> bool {
    told.phase != there.phase
        || told.reason != there.reason && told.reason.is_some()
        || told.host_ip != there.host_ip
        || told.pod_ip != there.pod_ip
        || told.conditions.iter().flatten().any(|condition| {
            let found = there.conditions.iter().flatten().find(|found| found.type_ == condition.type_);
            found.is_none_or(|found| found.status != condition.status || found.reason != condition.reason)
        })
        || containers(told.init_container_statuses.as_deref()) != containers(there.init_container_statuses.as_deref())
        || containers(told.container_statuses.as_deref()) != containers(there.container_statuses.as_deref())
}

type Essence<'a> = (&'a str, bool, i32, &'a str, Option<&'a str>, [bool; 3]);

fn containers(statuses: Option<&[ContainerStatus]>) -> Vec<Essence<'_>> {
    statuses.unwrap_or_default().iter().map(essence).collect()
}

fn essence(status: &ContainerStatus) -> Essence<'_> {
    let state = status.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let kinds = [
        waiting.is_some(),
        state.is_some_and(|state| state.running.is_some()),
        state.is_some_and(|state| state.terminated.is_some()),
    ];
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    (&status.name, status.ready, status.restart_count, &status.image_id, reason, kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(ready: &str, part: Value) -> PodStatus {
        let mut status = json!({
            "phase": "Running",
            "hostIP": "10.0.0.1",
            "conditions": [{ "type": "Ready", "status": ready }, { "type": "PodScheduled", "status": "True" }],
            "containerStatuses": [{
                "name": "c", "image": "i", "imageID": "id", "ready": true, "restartCount": 1, "started": true,
                "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
            }],
        });
        status.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn what_others_may_set_is_no_difference() {
        let told = status("True", json!({}));
        let more = json!([
            { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            { "type": "PodScheduled", "status": "True" },
            { "type": "example.com/gate", "status": "False" },
        ]);
        for there in [json!({}), json!({ "qosClass": "BestEffort" }), json!({ "conditions": more })] {
            assert!(!differs(&told, &status("True", there.clone())), "{there}");
        }
    }

    #[test]
    fn what_the_agent_answers_for_is() {
        let told = status("True", json!({}));
        assert!(differs(&told, &status("False", json!({}))), "the node controller's doing");
        for part in [
            json!({ "phase": "Pending" }),
            json!({ "hostIP": "10.0.0.2" }),
            json!({ "podIP": "10.0.0.2" }),
            json!({ "conditions": [] }),
            json!({ "containerStatuses": [] }),
            json!({ "initContainerStatuses": [{ "name": "i", "image": "i", "imageID": "", "ready": false, "restartCount": 0 }] }),
        ] {
            assert!(differs(&told, &status("True", part.clone())), "{part}");
        }
    }
}
