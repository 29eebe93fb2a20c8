//! What a process may do: it begins as root with a few capabilities, and keeps of them what it needs.
//!
//! <https://man7.org/linux/man-pages/man7/capabilities.7.html>

use rustix::io::{Errno, Result};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::options::User;

/// Makes this process the user's, with these capabilities at most and for good: neither it nor what it runs can get others. It must
/// not have a second thread yet.
///
/// # Errors
/// It may not: `CAP_SETUID`, `CAP_SETGID` and `CAP_SETPCAP` are needed.
pub fn become_user(user: User, kept: CapabilitySet) -> Result<()> {
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            // This kernel knows no more.
            Err(Errno::INVAL) => break,
            removed => removed?,
        }
    }
    clear_ambient_capability_set()?;
    set_keep_capabilities(true)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_keep_capabilities(false)?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })?;
    set_no_new_privs(true)
}
