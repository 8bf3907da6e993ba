// Bundles each function with each SDK: dist/{v2,v3}/{upload,presign,videos}.mjs
import {build} from 'esbuild';

for (const version of ['v2', 'v3']) {
  await build({
    entryPoints: ['upload', 'presign', 'videos'].map((name) => `src/${name}.js`),
    outdir: `dist/${version}`,
    outExtension: {'.js': '.mjs'},
    alias: {aws: `./src/aws-${version}.js`},
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // ES modules where a package has them: only these can be shaken.
    mainFields: ['module', 'main'],
    // What is CommonJS asks for Node's modules by require.
    banner: {js: "import {createRequire} from 'node:module'; const require = createRequire(import.meta.url);"},
    legalComments: 'none',
    logLevel: 'warning',
  });
}
