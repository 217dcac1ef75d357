export { accuracyTable, qualityTable } from './columns.js';
export { frontTable } from './fronts.js';
export { qualityPage } from './page.js';
export { measureQuality, type QualityEvent, type QualityOptions } from './quality.js';
export {
  type PictureTimes,
  type QualityPicture,
  type QualityReport,
  type QualityRow,
  qualityJson,
  qualityNotes,
} from './report.js';
export { defaultGrid } from './settings.js';
