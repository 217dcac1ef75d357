export { qualityPage } from './page.js';
export { measureQuality, type QualityOptions } from './quality.js';
export { type QualityReport, type QualityRow, qualityJson, qualityTable } from './report.js';
export { defaultGrid } from './settings.js';
