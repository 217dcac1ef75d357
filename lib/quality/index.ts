export { qualityPage } from './page.js';
export { measureQuality, type QualityEvent, type QualityOptions } from './quality.js';
export {
  accuracyTable,
  type PictureTimes,
  type QualityPicture,
  type QualityReport,
  type QualityRow,
  qualityJson,
  qualityNotes,
  qualityTable,
} from './report.js';
export { defaultGrid } from './settings.js';
