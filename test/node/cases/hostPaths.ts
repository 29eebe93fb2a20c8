// Volumes that are folders of the host: those alone that the node allows.
import type { Case } from "../runCase";
import { underTest } from "../underTest";
import { at, reads, volume } from "./mounting";

/** In a folder of the host that the suite has put `data/file` into. */
export const hostPathCases = (): readonly Case[] => {
    const { hostPath } = underTest();
    const waits = (name: string, source: { path: string; type?: string }, message: RegExp): Case => ({
        name,
        args: ["ls", "/v"],
        main: at("/v"),
        spec: volume({ hostPath: source }),
        expect: {
            phase: "Pending",
            containers: { main: { state: "waiting ContainerCreating", message, restarts: 0 } },
            notes: [new RegExp(`^Warning FailedMount: .*${message.source}`)],
        },
    });
    const elsewhere = (path: string) => new RegExp(`${path}.*--allowed-host-paths`);
    return [
        reads(
            "hostPath: a folder",
            { hostPath: { path: `${hostPath}/data`, type: "Directory" } },
            ["cat", "/v/file"],
            "of the host\n",
        ),
        reads(
            "hostPath: a folder that is made",
            { hostPath: { path: `${hostPath}/made`, type: "DirectoryOrCreate" } },
            ["write", "/v/f", "x", "cat", "/v/f"],
            "x\n",
        ),
        waits(
            "hostPath: a folder that is not there",
            { path: `${hostPath}/none`, type: "Directory" },
            /none is not a directory/,
        ),
        waits("hostPath: elsewhere", { path: "/etc" }, elsewhere("/etc")),
        waits("hostPath: beside an allowed folder", { path: `${hostPath}-beside` }, elsewhere("-beside")),
        waits(
            "hostPath: a link that leads out",
            { path: `${hostPath}/link-to-etc` },
            elsewhere("link-to-etc"),
        ),
    ];
};
