import { step } from "../../lib/step";
import { bringUp, localClusterInput, localTools } from "./localCluster";

/** A cluster that a tool of this machine makes: see bringUp. */
step(module, "createLocalCluster", localClusterInput, (input) => bringUp(localTools[input.tool], input));
