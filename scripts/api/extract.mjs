// What the declarations of a staged package say, by API Extractor: a report of the surface, and a model for the pages.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { ApiModel } from '@microsoft/api-extractor-model';
import { ENTRIES } from './entries.mjs';

/** Not asked for: there is one kind of release, and what a signature names need not be exported. */
const QUIET = {
  extractor: ['ae-missing-release-tag', 'ae-forgotten-export', 'ae-undocumented', 'ae-unresolved-link'],
  // Of TSDoc's spelling: what Markdown does not need.
  tsdoc: ['tsdoc-param-tag-missing-hyphen', 'tsdoc-escape-greater-than'],
};

/** Of every entry {name, title, report, model}; complaints go to `problems`. `folder` is for files between. */
export function extract(stage, folder, problems) {
  return ENTRIES.map(({ name, title, module }) => {
    const types = `dist/${module}.d.ts`;
    const report = join(folder, `${name}.api.md`);
    const json = join(folder, `${name}.api.json`);
    const config = ExtractorConfig.prepare({
      configObject: {
        projectFolder: stage,
        mainEntryPointFilePath: join(stage, types),
        newlineKind: 'lf',
        compiler: { overrideTsconfig: { compilerOptions: COMPILER_OPTIONS, files: [types] } },
        apiReport: {
          ...{ enabled: true, reportFileName: `${name}.api.md`, reportFolder: folder },
          ...{ reportTempFolder: join(folder, 'temp'), includeForgottenExports: true },
        },
        docModel: { enabled: true, apiJsonFilePath: json },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        messages: {
          compilerMessageReporting: { default: { logLevel: 'error' } },
          extractorMessageReporting: {
            default: { logLevel: 'warning' },
            ...none(QUIET.extractor),
          },
          tsdocMessageReporting: { default: { logLevel: 'warning' }, ...none(QUIET.tsdoc) },
        },
      },
      configObjectFullPath: undefined,
      packageJsonFullPath: join(stage, 'package.json'),
    });
    Extractor.invoke(config, {
      localBuild: true,
      messageCallback(message) {
        message.handled = true;
        if (!['warning', 'error'].includes(message.logLevel) || message.category === 'console') return;
        const place = message.sourceFilePath?.replace(`${stage}/`, '') ?? title;
        problems.push(`${place}:${message.sourceFileLine ?? ''} ${message.text} (${message.messageId})`);
      },
    });
    const model = new ApiModel().loadPackage(json).entryPoints[0];
    return { name, title, report: readFileSync(report, 'utf8'), model };
  });
}

const none = (ids) => Object.fromEntries(ids.map((id) => [id, { logLevel: 'none' }]));

const COMPILER_OPTIONS = {
  ...{ module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022' },
  ...{ lib: ['es2022', 'esnext.disposable'], types: ['node'], strict: true, skipLibCheck: true },
};
