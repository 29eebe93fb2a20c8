/** Of any object, what tells whether it stays. */
interface Lasting {
    metadata: { uid: string; deletionTimestamp?: string };
}

/**
 * How an object, of that UID where one is given, is no more; undefined: it is there. One that is being deleted cannot be kept, and may be gone
 * before Pulumi has changed it.
 */
export function goneness(now: Lasting | undefined, uid?: string): string | undefined {
    if (now === undefined) return "is gone";
    if (uid !== undefined && now.metadata.uid !== uid)
        return "is gone, and another one of that name is there";
    return now.metadata.deletionTimestamp === undefined ? undefined : "is being deleted";
}
