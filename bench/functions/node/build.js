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
    // Prefer ES modules: only they can be tree-shaken.
    mainFields: ['module', 'main'],
    // CommonJS packages load Node's built-in modules with require.
    banner: {js: "import {createRequire} from 'node:module'; const require = createRequire(import.meta.url);"},
    legalComments: 'none',
    logLevel: 'warning',
  });
}
