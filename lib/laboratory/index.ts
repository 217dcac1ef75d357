export { POLICY_FAMILIES, policiesOf } from './catalog.js';
export { type MeasurePoliciesOptions, measurePolicies } from './measure.js';
export { policyOfCache } from './policies/laid-out.js';
export {
  type Decider,
  type LabCall,
  type LabHalves,
  type LabOutput,
  type LabPolicy,
  type LabRun,
  type LabSettings,
  type PolicyFamily,
  policyOf,
} from './policy.js';
