export { ClipModel } from './clip-model.js';
