// What a kubelet does: these stories run on the Wasm node, and on kind's own node, with the same expectations.
import type { Case, Story } from "../../runCase";
import { containerCases } from "./containers";
import { emptyDirCases } from "./emptyDirs";
import { endingStories } from "./endings";
import { environmentCases } from "./environment";
import { generalImageCases } from "./images";
import { lifecycleCases } from "./lifecycle";
import { logStories } from "./logs";
import { probeCases } from "./probes";
import { serviceStories } from "./services";
import { statusCases, statusStories } from "./status";
import { volumeCases } from "./volumes";
import { volumeStories } from "./volumeStories";

/** What takes longest begins first. */
export const kubeletTests = (): readonly (Case | Story)[] => [
    ...endingStories,
    ...volumeStories,
    ...generalImageCases(),
    ...probeCases(),
    ...logStories,
    ...serviceStories,
    ...environmentCases,
    ...volumeCases,
    ...emptyDirCases,
    ...lifecycleCases,
    ...containerCases,
    ...statusCases,
    ...statusStories,
];
