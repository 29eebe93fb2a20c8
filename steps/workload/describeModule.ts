import { describe, describeModuleInput } from "./modules";
import { step } from "../lib/step";

step(module, "describeModule", describeModuleInput, describe);
