//! `/pods`: the pods of this node, as they were reported last.

use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use krustlet_pods::Directory;

/// A v1 PodList, by namespace and name.
pub fn list(directory: &Directory) -> List<Pod> {
    let items = directory.all().into_iter().map(|(_, view)| Pod::clone(&view.pod)).collect();
    List { items, ..List::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use krustlet_pods::PodView;

    #[test]
    fn it_is_a_pod_list_with_status() {
        let directory = Directory::default();
        let pod = json!({ "metadata": { "name": "p", "namespace": "n" }, "status": { "phase": "Running" } });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let view = PodView { uid: "u".into(), dir: "/d".into(), pod: Arc::new(pod), containers: vec![] };
        directory.set("n", "p", view);
        let value = serde_json::to_value(list(&directory)).unwrap();
        assert_eq!((value["kind"].as_str(), value["apiVersion"].as_str()), (Some("PodList"), Some("v1")));
        assert_eq!(value["items"][0]["metadata"]["name"], "p");
        assert_eq!(value["items"][0]["status"]["phase"], "Running");
        assert_eq!(value["items"].as_array().unwrap().len(), 1);
    }
}
