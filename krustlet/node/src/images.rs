//! The images in a Node's status: the scheduler prefers nodes that have a pod's image already.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::ContainerImage;

/// Names and sizes in bytes of the modules on this node; one with several names stands once.
pub type Inventory = Vec<(Vec<String>, u64)>;

/// So many images stand in the status, as with the kubelet.
const MOST: usize = 50;
/// So many names of one image.
const MOST_NAMES: usize = 5;

/// The largest images, the largest first.
pub fn listed(mut inventory: Inventory) -> Vec<ContainerImage> {
    // By name where the size is the same: an order of chance would have the status reported anew each time.
    inventory.iter_mut().for_each(|(names, _)| names.sort());
    inventory.sort_by(|(a, a_size), (b, b_size)| (Reverse(a_size), a).cmp(&(Reverse(b_size), b)));
    inventory
        .into_iter()
        .take(MOST)
        .map(|(names, size)| ContainerImage {
            names: Some(names.into_iter().take(MOST_NAMES).collect()),
            size_bytes: Some(i64::try_from(size).unwrap_or(i64::MAX)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_the_order_is_always_the_same() {
        let image = |name: &str, size| (vec![name.to_string()], size);
        let images = listed(vec![image("b", 5), image("c", 9), image("a", 5)]);
        let seen: Vec<_> =
            images.into_iter().map(|image| (image.names.unwrap().remove(0), image.size_bytes.unwrap())).collect();
        assert_eq!(seen, [("c".into(), 9), ("a".into(), 5), ("b".into(), 5)]);
    }

    #[test]
    fn there_are_not_too_many() {
        let names = |count: u64| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>();
        let images = listed((0..80).map(|size| (names(size), size)).collect());
        assert_eq!(images.len(), 50);
        assert_eq!(images[0].size_bytes, Some(79));
        assert_eq!(images[0].names.as_ref().unwrap().len(), 5);
    }
}
