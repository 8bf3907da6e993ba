// Screenshots of the page in every state, to look at after a change, and the images of the README. Runs only if
// $SCREENSHOTS is a folder:
//
//   SCREENSHOTS=$PWD/shots ./scripts/ffmpeg.sh layer ./scripts/browser.sh target/debug/upreel pictures
//   cp shots/page.png shots/scrub.gif docs/

import {execFileSync} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {before, test} from 'node:test';
import {folder, makeVideo, openPage, startBackend, until} from './harness.js';
import {upload} from '../../web/upreel/upreel.js';

const MiB = 2 ** 20;
const shots = process.env.SCREENSHOTS;
const options = {skip: shots ? false : 'SCREENSHOTS is not set'};
const ZIP = {name: 'slides.mp4', mimeType: 'video/mp4', buffer: Buffer.from('PK\x03\x04 is no video')};

/** Variants of every screenshot: options of Playwright's newContext. */
const VARIANTS = {
  light: {},
  dark: {colorScheme: 'dark'},
  phone: {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true},
  landscape: {viewport: {width: 844, height: 390}, isMobile: true, hasTouch: true},
  wide: {viewport: {width: 2560, height: 1440}},
  rtl: {locale: 'he'},
  forced: {forcedColors: 'active'},
};

/** Videos by name: ffmpeg's source filter and encoder options. */
const FILMS = {
  'Phone, upright.mov': ['gradients=size=360x640:rate=10:duration=12:speed=0.02:c0=orange:c1=purple', '-g', '10'],
  'Sunset drone.webm': ['gradients=size=640x360:rate=10:duration=12:speed=0.03:c0=teal:c1=gold:c2=orangered:c3=navy:n=4', '-c:v', 'libvpx', '-b:v', '500k', '-g', '10'],
  'Carpet walk.avi': ['sierpinski=size=640x360:rate=10', '-t', '12', '-g', '10', '-c:v', 'mpeg4', '-q:v', '5'],
  'Rule 110.mkv': ['cellauto=size=640x360:rate=10:rule=110:seed=1', '-t', '12', '-g', '10'],
  'Game of life.mkv': ['life=size=320x180:rate=10:mold=10:ratio=0.12:seed=7:death_color=#c83232:life_color=#00ffaa,scale=640:360:flags=neighbor', '-t', '12', '-g', '10'],
  'Mandelbrot zoom.mp4': ['mandelbrot=size=640x360:rate=10:end_scale=0.002:end_pts=240', '-t', '24', '-g', '10'],
};

const videos = {};
const films = {};
/** The backend of all variants. */
let backend;

before(async (t) => {
  if (!shots) return;
  const dir = await folder(t);
  videos.large = await makeVideo(join(dir, 'Long take.mp4'), {size: 120 * MiB});
  videos.film = await makeVideo(join(dir, 'film.mp4'), {seconds: 70, rate: 5, resolution: '854x480', audio: true});
  for (const [name, [source, ...codec]] of Object.entries(FILMS)) {
    films[name] = join(dir, name);
    const quiet = ['-nostdin', '-loglevel', 'error', '-f', 'lavfi', '-i', source];
    execFileSync('ffmpeg', [...quiet, '-pix_fmt', 'yuv420p', ...codec, films[name]]);
  }
  backend = await startBackend(t, '--transcode');
  await put(backend, {...films, 'film.mp4': videos.film.path, 'שלום עולם.mp4': films['Mandelbrot zoom.mp4']});
  await until('all are transcoded', async () => (await backend.videos()).every(({hlsUrl}) => hlsUrl));
});

/** Uploads files, one after the other. */
async function put(backend, paths) {
  for (const [name, path] of Object.entries(paths)) {
    const {videoId} = await upload(new File([await readFile(path)], name), {api: backend.api});
    await backend.video(videoId);
  }
}

const card = (page, name) => page.locator('.card', {has: page.locator('h3', {hasText: name})});
const click = (page, name, button) => card(page, name).getByRole('button', {name: button}).click();
const waitForState = (page, name, state) => card(page, name).and(page.locator(`[data-state="${state}"]`)).waitFor();
const shoot = (page, name, more) => page.screenshot({path: join(shots, `${name}.png`), ...more});
const isPart = (url) => url.searchParams.has('partNumber');
const posters = (page) => until('the posters are shown', () => (
  page.evaluate(() => [...document.querySelectorAll('.card img:not([hidden])')].every((img) => (
    img.getBoundingClientRect().top > innerHeight || img.getBoundingClientRect().bottom < 0
      || (img.complete && img.naturalWidth > 0))))));

/** Lets the first `count` parts through and holds the others. */
async function hold(page, count) {
  await page.unrouteAll();
  let passed = 0;
  await page.route(isPart, (route) => ((passed += 1) > count ? undefined : route.continue()));
}

/** Makes the list contain videos in states that take long to reach. */
async function showRows(page) {
  const failed = {
    NO_VIDEO: 'The file has no video stream.',
    ENCRYPTED: 'The file is encrypted. Upload it without DRM.',
    UNREADABLE: 'The file is damaged, or its codec is not supported.',
    TOO_COMPLEX: 'The video is too complex to process.',
    LOST: 'The file was lost before it was processed. Upload it again.',
    INTERNAL: 'Processing failed on our side and will be repeated later.',
  };
  const rows = [
    {filename: 'uploaded.mp4', status: 'UPLOADED'},
    {filename: 'processing.mp4', status: 'PROCESSING'},
    {filename: 'no poster.mp4', status: 'PROCESSED', durationMs: 61_000, videoCodec: 'av1', container: 'webm'},
    {filename: 'transcoding.mp4', status: 'PROCESSED', transcode: {status: 'RUNNING', chunksDone: 3, chunksTotal: 12}},
    {filename: 'not transcoded.mp4', status: 'PROCESSED', transcode: {status: 'FAILED', chunksDone: 0, chunksTotal: 2, error: {code: 'INTERNAL', message: 'Processing failed on our side.'}}},
    ...Object.entries(failed).map(([code, message]) => ({filename: `${code.toLowerCase()}.mp4`, status: 'FAILED', error: {code, message}})),
  ].map((row, i) => ({
    videoId: `019ad2f4-5c3e-7b21-8f60-${String(99 - i).padStart(12, '0')}`, userId: 'local', contentType: 'video/mp4', size: 5 * MiB,
    uploadTime: '2026-11-23T07:41:47.123Z', ...row,
  }));
  await page.route(/\/videos(\?|\/)/, (route) => {
    const one = rows.find(({videoId}) => route.request().url().endsWith(videoId));
    return route.fulfill({json: one ?? {videos: rows}});
  });
  await page.reload();
  await waitForState(page, 'internal.mp4', 'failed');
}

for (const [variant, context] of Object.entries(VARIANTS)) {
  test(`pictures: ${variant}`, options, async (t) => {
    const page = await openPage(t, 'about:blank', {reducedMotion: 'reduce', ...context});
    await page.route('**/videos?*', (route) => route.fulfill({json: {videos: []}}));
    await page.goto(backend.api);
    page.on('dialog', (dialog) => dialog.accept());
    const direction = () => page.evaluate((rtl) => { if (rtl) document.documentElement.dir = 'rtl'; }, variant === 'rtl');
    const save = async (name, more) => {
      await direction();
      await posters(page);
      await shoot(page, `${variant}, ${name}`, more);
    };
    await page.getByText('No videos yet').waitFor();
    await save('1 empty');

    await page.unrouteAll();
    await page.reload();
    await waitForState(page, 'film.mp4', 'done');
    await hold(page, 8);
    await page.setInputFiles('#file', ZIP);
    await page.setInputFiles('#file', videos.large.path);
    await until('parts are sent', async () => /^[1-9]\d%/.test(await card(page, 'Long take.mp4').locator('.stage').textContent()));
    await save('2 uploading', {fullPage: true});
    await click(page, 'Long take.mp4', 'Pause');
    await page.mouse.move(0, 0);
    await save('3 pausing');
    await page.context().setOffline(true);
    await page.getByText('You are offline').waitFor();
    await save('4 offline');
    await page.context().setOffline(false);
    await click(page, 'Long take.mp4', 'Cancel');
    await page.getByRole('dialog').waitFor();
    await save('5 confirm');
    await page.getByRole('button', {name: 'Keep it'}).click();
    await page.reload();
    await waitForState(page, 'Long take.mp4', 'interrupted');
    await page.getByRole('button', {name: 'Select', exact: true}).click();
    await save('6 interrupted, selecting');

    await page.getByRole('button', {name: 'Done', exact: true}).click();
    await click(page, 'film.mp4', 'Play');
    await until('it plays', () => page.locator('video').evaluate((video) => video.currentTime > 0.3));
    await page.locator('video').evaluate((video) => {
      video.pause();
      const track = video.addTextTrack('captions', 'English', 'en');
      track.addCue(new VTTCue(0, 70, 'This is a caption.'));
      track.mode = 'showing';
    });
    if (!context.isMobile) await page.getByRole('slider', {name: 'Seek'}).hover({position: {x: 200, y: 10}});
    await page.getByRole('button', {name: 'closed captions'}).waitFor();
    await save('7 player');
    await page.getByRole('button', {name: 'quality'}).click();
    await page.getByRole('menu').waitFor();
    await save('7 player, menu');
    await page.keyboard.press('Escape');
    await until('the menu is closed', () => page.getByRole('menu').isHidden());
    await page.keyboard.press('Escape');

    await showRows(page);
    await save('8 states', {fullPage: true});

    await page.unrouteAll();
    await page.goto(`${backend.api}/docs`);
    await page.locator('#schema-VideoList').waitFor();
    await save('9 docs');
    await page.getByRole('searchbox').fill('thumbnailurl');
    await page.locator('#listVideos .try summary').click();
    await page.locator('#listVideos .output .status').waitFor();
    await page.locator('#listVideos .try').scrollIntoViewIfNeeded();
    await save('10 docs, try it and search');
  });
}

test('pictures of the README', options, async (t) => {
  const backend = await startBackend(t);
  await put(backend, Object.fromEntries(Object.entries(films).reverse()));
  const page = await openPage(t, backend.api, {viewport: {width: 1240, height: 914}, reducedMotion: 'reduce'});
  await waitForState(page, 'Carpet walk.avi', 'done');
  await hold(page, 8);
  await page.setInputFiles('#file', ZIP);
  await waitForState(page, 'slides.mp4', 'refused');
  await page.setInputFiles('#file', videos.large.path);
  await until('parts are sent', async () => /^3\d%/.test(await card(page, 'Long take.mp4').locator('.stage').textContent()));
  await posters(page);
  await shoot(page, 'page');

  await page.setViewportSize({width: 880, height: 914});
  // The tiles of the storyboard while the pointer moves over the bar. A screenshot has no pointer, so one is drawn.
  const frame = card(page, 'Mandelbrot zoom.mp4').locator('.frame');
  await frame.scrollIntoViewIfNeeded();
  const {x, y, width, height} = await frame.boundingBox();
  await page.evaluate(() => {
    const pointer = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    pointer.innerHTML = '<path d="M2 1v17l4-4 3 7 3-1-3-7h6Z" fill="#fff" stroke="#000" stroke-width="1.2"/>';
    pointer.setAttribute('viewBox', '0 0 20 24');
    Object.assign(pointer.style, {position: 'fixed', zIndex: 9, width: '20px', pointerEvents: 'none'});
    pointer.id = 'pointer';
    document.body.append(pointer);
  });
  const dir = await folder(t);
  const clip = {x: x - 8, y: y - 8, width: width + 16, height: height + 118};
  const FRAMES = 36;
  for (let i = 0; i < FRAMES; i += 1) {
    const left = x + width * (0.03 + (0.94 * i) / (FRAMES - 1));
    const top = y + height - 14;
    await page.mouse.move(left, top);
    await page.evaluate(([left, top]) => Object.assign(document.querySelector('#pointer').style, {left: `${left}px`, top: `${top}px`}), [left, top]);
    if (i === 0) await until('the tiles are loaded', () => frame.locator('.scrub').evaluate((el) => el.classList.contains('shown')));
    await page.screenshot({path: join(dir, `${String(i).padStart(2, '0')}.png`), clip});
  }
  const palette = 'split[a][b];[a]palettegen=max_colors=160[p];[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle';
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-framerate', '9', '-i', join(dir, '%02d.png'), '-vf', palette, join(shots, 'scrub.gif')]);
});
