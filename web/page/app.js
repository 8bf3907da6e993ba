import { editCaptions } from './captions.js';
import { Player, loadHls } from './player.js';
import { Storyboard } from './storyboard.js';
import {
  Upload, backOff, choosePoster, discard, fingerprint, follow, get, importUrl, interrupted, isDone, list, remove, update,
  uploading, usage,
} from './upreel.js';

const MAX_UPLOADS = 3;
const PAGE_SIZE = 24;
/** Cancelling an upload asks first if at least this much has been sent, in bytes. */
const MUCH = 16 * 2 ** 20;
/** How long a video that is processed again may stay FAILED, in seconds. */
const REPLAY_TIMEOUT = 15;
const CODECS = { h264: 'H.264', avc1: 'H.264', h265: 'HEVC', hvc1: 'HEVC', vorbis: 'Vorbis', opus: 'Opus' };
const CONTAINERS = {
  mov: 'QuickTime', mkv: 'Matroska', mpegps: 'MPEG-PS', mpegts: 'MPEG-TS', mpegvideo: 'MPEG video', ogg: 'Ogg', webm: 'WebM',
};

const $ = (selector, root = document) => root.querySelector(selector);
const grid = $('#grid');
const notice = $('#notice');
const more = $('#more');
const liveRegion = $('#live');
const resumeInput = $('#resume-file');
const search = $('#search');
const selection = $('#selection');
const player = new Player($('#player'), { formatName, showDetails, onClose: () => setHash('') });
const cards = new Map(); // by element
const byId = new Map(); // by videoId
const queue = [];
let cursor;
/** Ids of the videos that other tabs of this browser are uploading. */
let elsewhere = [];

const path = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const announce = (text) => { liveRegion.textContent = text; };
const countOf = (n, kind = '') => `${n} ${kind}video${n === 1 ? '' : 's'}`;
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
// Replaces the fragment of the URL without a new entry in the history.
const setHash = (hash) => history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);

// Asks for a confirmation. `text` is the sentence after the name.
async function confirm({ title, name, text, yes, no }) {
  const dialog = $('#confirm');
  $('h2', dialog).textContent = title;
  $('bdi', dialog).textContent = name;
  $('.text', dialog).textContent = text;
  $('.danger', dialog).textContent = yes;
  $('[value="keep"]', dialog).textContent = no;
  dialog.returnValue = '';
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener('close', done, { once: true }); });
  return dialog.returnValue === 'yes';
}

/* Formatting for display */

// Strips control and bidirectional characters, which can make "fdp.mp4" look like a PDF.
const displayName = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '') || 'Unnamed file';

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** step;
  return `${step && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

function clock(ms) {
  const s = Math.round(ms / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const rest = `${Math.floor(s / 60) % 60}:${two(s % 60)}`;
  return s < 3600 ? rest : `${Math.floor(s / 3600)}:${rest.padStart(5, '0')}`;
}

// Returns the average colour of a BlurHash: its third to sixth digit, in base 83.
function averageColour(hash) {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';
  const colour = [...(hash ?? '').slice(2, 6)].reduce((sum, digit) => sum * 83 + digits.indexOf(digit), 0);
  return hash ? `#${colour.toString(16).padStart(6, '0')}` : '';
}

function timeLeft(s) {
  if (s < 1) return 'almost done';
  if (s < 60) return `${Math.round(s)} s left`;
  return s < 3600 ? `${Math.round(s / 60)} min left` : `${(s / 3600).toFixed(1)} h left`;
}

const codec = (name) => CODECS[name.toLowerCase()] ?? name.toUpperCase();

function mediaInfo(video) {
  const codecs = [video.videoCodec, video.audioCodec].filter(Boolean).map(codec).join(' + ');
  return [
    video.durationMs != null && clock(video.durationMs),
    video.width && video.height && `${video.width}×${video.height}`,
    codecs,
    video.frameRate && `${+Number(video.frameRate).toFixed(2)} fps`,
    video.hlsUrl && 'HLS',
    video.size != null && bytes(video.size),
  ].filter(Boolean);
}

// Numbers and units are written from left to right in every script, hence a span for each detail.
function showDetails(el, details) {
  el.replaceChildren(...details.flatMap((detail, i) => {
    const span = document.createElement('span');
    span.textContent = detail;
    return i ? ['\u00a0· ', span] : [span];
  }));
}

// Names the codec and container of a video that cannot be played.
function formatName({ videoCodec, container }) {
  const what = videoCodec && codec(videoCodec);
  const where = container && (CONTAINERS[container] ?? container.toUpperCase());
  return [what, where].filter(Boolean).join(' in ') || 'this kind of video';
}

// Shows byte counts in the server's messages with a unit that is easy to read.
const messageOf = (error) => error.message.replace(/\b(\d{5,}) bytes/g, (_, n) => bytes(Number(n)));

/* A card shows a file while it uploads, then its video */

class Card {
  constructor(name) {
    this.el = $('#card').content.firstElementChild.cloneNode(true);
    cards.set(this.el, this);
    this.setName(name);
    const img = $('img', this.el);
    this.storyboard = new Storyboard($('.scrub', this.el), clock, () => this.renew());
    // Only the bar plays from the time under the pointer. The poster plays from the beginning.
    const scrub = $('.scrub', this.el);
    scrub.addEventListener('click', () => this.play(this.storyboard.at));
    scrub.addEventListener('keydown', ({ key }) => { if (key === 'Enter') this.play(this.storyboard.at); });
    const box = $('.select', this.el);
    box.addEventListener('change', updateSelection);
    for (const [button, act] of Object.entries({
      '.play': () => this.play(),
      '.pause': () => this.upload.pause(),
      '.resume': () => this.upload.resume(),
      '.cancel': () => this.cancel(),
      '.choose': () => { resumeInput.card = this; resumeInput.click(); },
      '.discard': () => this.discard(),
      '.retry': () => (this.video ? this.replay() : enqueue(this)),
      '.dismiss': () => { this.upload.cancel(); this.remove(); },
      '.captions': () => editCaptions(this, { messageOf, announce }),
      '.rename': () => this.rename(),
      '.delete': () => this.delete(),
    })) {
      $(button, this.el).addEventListener('click', act);
    }
    img.addEventListener('error', () => this.renewPoster());
    img.addEventListener('load', () => { img.style.backgroundColor = ''; });
  }

  // Shows a name, also in the names of the controls.
  setName(name) {
    this.name = displayName(name ?? '');
    const title = $('h3', this.el);
    title.textContent = title.title = this.name;
    $('img', this.el).alt = `Poster of ${this.name}`;
    const label = (selector, text) => $(selector, this.el).setAttribute('aria-label', `${text} ${this.name}`);
    label('.bar', 'Upload of');
    label('.scrub', 'Storyboard of');
    label('.select', 'Select');
    label('.json', 'JSON of');
    for (const button of this.el.querySelectorAll('button')) {
      button.setAttribute('aria-label', `${button.dataset.verb ?? button.textContent} ${this.name}`);
    }
  }

  get busy() { return ['waiting', 'uploading', 'pausing', 'paused', 'finishing'].includes(this.state); }

  /** Whether the video exists on the server and nothing is being done with it. */
  get settled() { return ['done', 'failed'].includes(this.state); }

  /** Whether the video can be played: a processed one as a file, and by HLS even before. */
  get playable() { return this.el.classList.contains('playable'); }

  set playable(on) { this.el.classList.toggle('playable', on); }

  get selected() { return $('.select', this.el).checked; }

  set selected(on) { $('.select', this.el).checked = on; }

  setState(state, stage, details, error = '') {
    // Hiding the focused button would move the keyboard focus to the top of the page.
    const focused = this.el.contains(document.activeElement) && document.activeElement;
    this.state = this.el.dataset.state = state;
    $('.stage', this.el).textContent = stage;
    showDetails($('.details', this.el), details);
    this.showError(error);
    if (focused && !focused.getClientRects().length) $('h3', this.el).focus();
    queueMicrotask(startUploads);
    updateTitle();
    updateCount();
  }

  showError(text) {
    $('.error', this.el).textContent = text;
    $('.error', this.el).hidden = !text;
  }

  setVideoId(videoId) {
    const duplicate = byId.get(videoId);
    // The list may have been loaded after the server created the video and before its response arrived here.
    if (duplicate && duplicate !== this) duplicate.remove();
    byId.set(videoId, this);
    this.videoId = videoId;
    $('.json', this.el).href = path(videoId);
  }

  setProgress(sent, total) {
    const percent = total ? Math.floor((sent / total) * 100) : 100;
    const bar = $('.bar', this.el);
    bar.setAttribute('aria-valuenow', percent);
    bar.firstElementChild.style.width = `${percent}%`;
    this.percent = percent;
    return `${percent}%`;
  }

  onProgress({ state, sent, total, speed, secondsLeft, error }) {
    if (this.upload.videoId && !this.videoId) this.setVideoId(this.upload.videoId);
    const percent = this.setProgress(sent, total);
    const details = [`${bytes(sent)} of ${bytes(total)}`];
    if (speed) details.push(`${bytes(speed)}/s`, timeLeft(secondsLeft));
    $('.bar', this.el).setAttribute('aria-valuetext', `${percent}, ${details.join(', ')}`);
    if (state === 'sending') this.setState('uploading', percent, details);
    else if (state === 'finishing') this.setState('finishing', 'Finishing…', details);
    else if (state === 'pausing') this.setState('pausing', 'Pausing…', details);
    else if (state === 'paused') this.setState('paused', 'Paused', [...details, percent]);
    else if (state === 'waiting') {
      const offline = error.code === 'OFFLINE';
      const message = offline ? '' : `${messageOf(error)} Retrying…`;
      this.setState('uploading', percent, [...details, offline ? 'offline' : 'retrying'], message);
    }
    if (state !== this.announced && ['paused', 'waiting'].includes(state)) {
      announce(`${this.name} ${state === 'paused' ? 'is paused.' : 'is waiting for the connection.'}`);
    }
    this.announced = state;
  }

  // Shows an upload that a page reload interrupted. The server still has its parts.
  interrupted(entry) {
    this.entry = entry;
    if (entry.videoId) this.setVideoId(entry.videoId);
    this.setProgress(entry.sent, entry.size);
    const uploaded = `${bytes(entry.sent)} of ${bytes(entry.size)} uploaded`;
    this.setState('interrupted', 'Interrupted: choose the file again', [uploaded]);
  }

  // Whether this card is an interrupted upload of the file.
  matches(file) { return this.state === 'interrupted' && fingerprint(this.entry) === fingerprint(file); }

  async discard() {
    if (!await this.confirmLoss(this.entry.sent)) return;
    try {
      await discard(this.entry);
      this.remove();
      announce(`The upload of ${this.name} was discarded.`);
    } catch (error) {
      this.showError(`Could not discard the upload. ${messageOf(error)}`);
    }
  }

  async cancel() {
    if (!await this.confirmLoss(this.upload.sent) || !this.busy) return;
    this.upload.cancel();
    this.remove();
    announce(`The upload of ${this.name} was cancelled.`);
  }

  // Asks for a confirmation if much of the file has been sent.
  async confirmLoss(sent) {
    return sent < MUCH || confirm({
      title: 'Cancel this upload?',
      name: this.name,
      text: `will not be uploaded. The ${bytes(sent)} that have been sent will be deleted.`,
      yes: 'Cancel the upload',
      no: 'Keep it',
    });
  }

  // Opens the player, with newly signed URLs: those of `renewed`, if given.
  async play(at = 0, renewed = undefined) {
    try {
      const video = renewed ?? await this.renew();
      const { name, storyboard } = this;
      setHash(this.videoId);
      player.open({
        video, name, details: mediaInfo(video), at, storyboard,
        renew: () => this.renew(),
        choosePoster: (time) => this.choosePoster(time),
      });
    } catch (error) {
      this.showError(messageOf(error));
    }
  }

  show(video) {
    const before = this.video?.status;
    // The copy from a URL begins some time after the request.
    const copy = video.status === 'PENDING' ? video.fetch ?? this.video?.fetch : undefined;
    this.video = { ...video, fetch: copy };
    const name = video.title ?? video.filename;
    if (displayName(name) !== this.name) this.setName(name);
    this.showTags(video.tags ?? []);
    const time = $('time', this.el);
    const when = new Date(video.uploadTime);
    if (!Number.isNaN(+when)) {
      time.dateTime = video.uploadTime;
      time.title = when.toLocaleString();
      const year = when.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' };
      time.textContent = when.toLocaleString(undefined, {
        month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', ...year,
      });
    }
    // The record of an uploaded file stays PENDING until the S3 event is processed.
    const status = video.status === 'PENDING' && !elsewhere.includes(this.videoId) ? 'UPLOADED' : video.status;
    const info = mediaInfo(video);
    this.playable = status === 'PROCESSED' || (status === 'PROCESSING' && Boolean(video.hlsUrl));
    if (status === 'PROCESSED') this.setState('done', video.thumbnailUrl ? '' : 'No poster', info);
    else if (status === 'FAILED') {
      this.setState('failed', 'Failed', info, video.error?.message || 'This video could not be processed.');
    } else if (status === 'PENDING') this.setState('pending', 'Uploading in another tab', info);
    else if (copy) this.showCopy(copy);
    else if (video.check) this.setState('processing', 'Being checked…', info);
    else this.setState('processing', status === 'PROCESSING' ? 'Processing…' : 'Uploaded, waiting…', info);
    // Another attempt can succeed after a fault of the service, but not for a damaged file.
    this.el.classList.toggle('replayable', status === 'FAILED' && video.error?.code === 'INTERNAL');
    this.showTranscoding(video);
    this.poster(video);
    this.storyboard.show(video);
    if (before !== video.status && (before || this.file)) {
      const texts = {
        UPLOADED: 'is uploaded.',
        PROCESSING: 'is being processed.',
        PROCESSED: 'is ready.',
        FAILED: 'could not be processed.',
      };
      announce(`${this.name} ${texts[status]} ${$('.error', this.el).textContent}`);
    }
    if (status !== 'PENDING') this.follow();
  }

  // Shows the progress of the copy from a URL.
  showCopy({ bytesDone, bytesTotal }) {
    const percent = bytesTotal ? ` ${Math.floor((bytesDone / bytesTotal) * 100)}%` : '';
    const total = bytesTotal ? ` of ${bytes(bytesTotal)}` : '';
    this.setState('processing', `Copying…${percent}`, [`${bytes(bytesDone)}${total}`]);
  }

  showTags(tags) {
    const list = $('.tags', this.el);
    list.hidden = !tags.length;
    list.replaceChildren(...tags.map((tag) => {
      const item = document.createElement('li');
      item.textContent = displayName(tag);
      return item;
    }));
  }

  // Asks for another title. Without one, the card shows the file name.
  async rename() {
    const dialog = $('#rename');
    const input = $('input', dialog);
    input.value = this.video.title ?? '';
    input.placeholder = displayName(this.video.filename);
    dialog.returnValue = '';
    dialog.showModal();
    input.select();
    await new Promise((done) => { dialog.addEventListener('close', done, { once: true }); });
    if (dialog.returnValue !== 'save') return;
    try {
      this.show(await update(this.videoId, { title: input.value.trim() || null }));
      filter();
      announce(`The video is called ${this.name}.`);
    } catch (error) {
      this.showError(`Could not rename the video. ${messageOf(error)}`);
    }
  }

  // Makes the service process a failed video again.
  async replay() {
    this.setState('processing', 'Processing…', mediaInfo(this.video));
    try {
      const response = await fetch('/_local/dlq/replay', { method: 'POST' });
      if (!response.ok) throw new Error('This video cannot be processed again now. Try again later.');
      let video;
      for (let seconds = 0; seconds < REPLAY_TIMEOUT && video?.status !== 'PROCESSED'; seconds += 1) {
        await sleep(1000);
        video = await this.renew();
        if (!isDone(video)) break;
      }
      this.show(video);
    } catch (error) {
      this.show(this.video);
      this.showError(messageOf(error));
    }
  }

  // Shows the progress of transcoding.
  showTranscoding({ transcode: { status, chunksDone, chunksTotal, error } = {} }) {
    const line = $('.transcoding', this.el);
    const [label, bar] = line.children;
    line.hidden = status !== 'RUNNING';
    label.textContent = chunksTotal ? `Transcoding: ${chunksDone} of ${chunksTotal} chunks` : 'Transcoding…';
    bar.setAttribute('aria-label', `Transcoding of ${this.name}`);
    bar.max = chunksTotal || 1;
    if (chunksTotal) bar.value = chunksDone;
    else bar.removeAttribute('value');
    if (status === 'FAILED') {
      this.showError(`Transcoding failed. Only the original can be played. ${error?.message ?? ''}`);
    }
  }

  poster({ thumbnailUrl: url, thumbnailLargeUrl: large, blurHash }) {
    const img = $('img', this.el);
    if (!url) { img.hidden = true; return; }
    // If only the signature of the URL has changed, the image need not be loaded again.
    if (img.hidden || img.src.split('?')[0] !== url.split('?')[0]) {
      img.style.backgroundColor = averageColour(blurHash);
      img.srcset = large ? `${url} 640w, ${large} 1280w` : '';
      img.src = url;
    }
    img.hidden = false;
  }

  async renewPoster() {
    $('img', this.el).hidden = true;
    $('.stage', this.el).textContent = 'No poster';
    // Signed URLs expire while the page stays open. A second failure has another cause.
    if (this.posterRenewed) return;
    this.posterRenewed = true;
    try {
      this.show(await this.renew());
    } catch { /* The card already shows that there is no poster. */ }
  }

  // Returns the video with newly signed URLs.
  renew() { return get(this.videoId); }

  async choosePoster(time) {
    await choosePoster(this.videoId, time);
    this.show(await this.renew());
  }

  async follow() {
    if (this.following || isDone(this.video, true)) return;
    this.following = new AbortController();
    try {
      await follow(this.videoId, {
        renditions: true,
        signal: this.following.signal,
        onChange: (video) => this.show(video),
        onRetry: (error) => {
          const message = error.code === 'OFFLINE' ? '' : `${messageOf(error)} Retrying…`;
          this.setState(this.state, 'Waiting for the server…', mediaInfo(this.video), message);
        },
      });
    } catch (error) {
      if (error.status === 404) this.remove();
      else if (this.el.isConnected) this.showError(messageOf(error));
    }
    this.following = undefined;
  }

  async delete() {
    const asked = await confirm({
      title: 'Delete this video?',
      name: this.name,
      text: 'and everything made from it will be deleted. This cannot be undone.',
      yes: 'Delete',
      no: 'Keep',
    });
    if (asked && await this.deleteNow()) announce(`${this.name} was deleted.`);
  }

  // Returns whether the video is deleted.
  async deleteNow() {
    try {
      await remove(this.videoId);
    } catch (error) {
      this.showError(`Could not delete the video. ${messageOf(error)}`);
      announce(`${this.name} was not deleted. ${messageOf(error)}`);
      return false;
    }
    this.remove();
    showUsage();
    return true;
  }

  remove() {
    const neighbour = this.el.nextElementSibling ?? this.el.previousElementSibling;
    const hadFocus = this.el.contains(document.activeElement);
    this.following?.abort();
    this.el.remove();
    cards.delete(this.el);
    queueMicrotask(startUploads);
    updateTitle();
    updateCount();
    updateSelection();
    if (byId.get(this.videoId) === this) byId.delete(this.videoId);
    if (hadFocus) (neighbour ? $('h3', neighbour) : $('#videos-title')).focus();
  }
}

/* Uploading */

// The backend adds audio to what the page accepts if it accepts audio itself.
const audio = $('#file').accept.startsWith('audio/');

function add(files) {
  for (const file of files) {
    let card = [...cards.values()].find((candidate) => candidate.matches(file));
    if (!card) {
      card = new Card(file.name);
      grid.prepend(card.el);
    }
    card.file = file;
    card.upload = new Upload(file, { audio, onProgress: (progress) => card.onProgress(progress) });
    // The list shows the newest first, so the first one chosen is the lowest, as it is after a reload.
    enqueue(card);
  }
}

function enqueue(card) {
  queue.push(card);
  card.setState('waiting', 'Waiting', [bytes(card.file.size)]);
}

// Starts queued uploads, up to MAX_UPLOADS at a time. A paused upload does not count.
function startUploads() {
  const running = () => [...cards.values()].filter(({ state }) => ['uploading', 'pausing', 'finishing'].includes(state)).length;
  while (queue.length && running() < MAX_UPLOADS) {
    const card = queue.shift();
    if (card.el.isConnected) upload(card);
  }
}

async function upload(card) {
  const { file, upload: job } = card;
  card.setState('uploading', '0%', [bytes(file.size)]);
  announce(`${card.name} is uploading.`);
  try {
    const { videoId } = await job.start();
    card.setVideoId(videoId);
    card.entry = undefined;
    card.show({ filename: file.name, size: file.size, status: 'UPLOADED', uploadTime: new Date().toISOString() });
    showUsage();
  } catch (error) {
    if (job.state === 'cancelled') return;
    byId.delete(card.videoId);
    card.videoId = undefined;
    card.entry = undefined;
    const why = messageOf(error) + (error.code === 'TOO_LARGE' ? ` This file has ${bytes(file.size)}.` : '');
    card.setState(error.final ? 'refused' : 'broken', 'Not uploaded', [bytes(file.size)], why);
    announce(`${card.name} was not uploaded. ${why}`);
  }
}

/* Videos from URLs, if the backend copies them */

const fromUrl = $('#from-url');
// A repeated request, after a lost response, makes no second video.
let addition = {};
fromUrl.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [input, button, error] = ['input', 'button', '.error'].map((selector) => $(selector, fromUrl));
  const url = input.value.trim();
  if (addition.url !== url) addition = { url, idempotencyKey: [...crypto.getRandomValues(new Uint32Array(4))].join('-') };
  button.disabled = true;
  error.hidden = true;
  try {
    const { videoId } = await importUrl(url, {}, { idempotencyKey: addition.idempotencyKey });
    const card = showInList({ fetch: { bytesDone: 0 }, ...await get(videoId) });
    announce(`${card.name} is being copied.`);
    addition = {};
    input.value = '';
  } catch (problem) {
    error.textContent = messageOf(problem);
    error.hidden = false;
  }
  button.disabled = false;
});

function updateTitle() {
  const sending = [...cards.values()].filter(({ state }) => state === 'uploading' || state === 'finishing');
  const sum = (valueOf) => sending.reduce((total, { upload: job }) => total + valueOf(job), 0);
  const fraction = sum(({ sent }) => sent) / sum(({ file }) => file.size);
  document.title = fraction >= 0 ? `${Math.floor(100 * fraction)}% · Upreel` : 'Upreel';
}

/* The list */

// Inserts new videos by their ids, which begin with the time. Uploads of this page stay on top.
function showInList(video) {
  const known = byId.get(video.videoId);
  if (known) {
    const waits = known.state === 'interrupted' && video.status === 'PENDING' && !elsewhere.includes(video.videoId);
    if (!known.busy && !waits) known.show(video);
    return known;
  }
  // No tab of this browser sends the file. If another device does, the video appears once it is uploaded.
  if (video.status === 'PENDING' && !video.fetch && !elsewhere.includes(video.videoId)) return undefined;
  const card = new Card(video.filename);
  card.setVideoId(video.videoId);
  const older = [...grid.children].find((el) => cards.get(el).video?.videoId < video.videoId);
  grid.insertBefore(card.el, older ?? null);
  card.show(video);
  filter();
  return card;
}

// Removes the cards of videos that were deleted elsewhere: they belong on this page of the list, but are not there.
function removeDeleted({ videos, cursor: next }) {
  const listed = new Set(videos.map(({ videoId }) => videoId));
  const oldest = next ? videos.at(-1).videoId : '';
  for (const card of [...cards.values()]) {
    const listable = card.settled || card.state === 'pending';
    if (listable && !listed.has(card.videoId) && card.videoId > oldest) card.remove();
  }
}

// Shows the uploads that a reload has interrupted, or that another tab has left.
async function showInterrupted() {
  for (const entry of await interrupted()) {
    const same = (card) => card.entry?.id === entry.id || (card.file && fingerprint(card.file) === fingerprint(entry));
    let card = byId.get(entry.videoId) ?? [...cards.values()].find(same);
    if (!card) {
      card = new Card(entry.name);
      grid.prepend(card.el);
    } else if (card.state !== 'pending') continue;
    card.interrupted(entry);
  }
}

let failures = 0;

async function load(from) {
  try {
    if (!from) await showInterrupted();
    elsewhere = await uploading();
    const page = await list({ limit: PAGE_SIZE, cursor: from });
    const shown = page.videos.map(showInList).filter(Boolean);
    if (!from) removeDeleted(page);
    // Reloading the first page keeps the cursor of the pages loaded so far.
    if (from || grid.ariaBusy === 'true') cursor = page.cursor;
    failures = 0;
    notice.hidden = true;
    grid.ariaBusy = 'false';
    const hadFocus = document.activeElement === more;
    more.hidden = !cursor;
    updateCount();
    if (!from) showUsage();
    if (from) announce(`${countOf(shown.length, 'more ')} loaded.`);
    if (hadFocus && more.hidden && shown.length) $('h3', shown[0].el).focus();
    watchEnd();
  } catch (error) {
    if (!navigator.onLine) return; // #offline shows it
    const retried = error.temporary && failures < 5;
    $('p', notice).textContent = `Could not load the list of videos. ${messageOf(error)}${retried ? ' Retrying…' : ''}`;
    notice.hidden = false;
    if (!retried) return;
    failures += 1;
    await sleep(error.retryAfter || backOff(failures));
    await load(from);
  }
}

let loadingMore;
function loadMore() {
  loadingMore ??= load(cursor).finally(() => { loadingMore = undefined; });
  return loadingMore;
}
more.addEventListener('click', loadMore);

// Loads the next page when the user scrolls near the end of the list.
const end = new IntersectionObserver((changes) => {
  if (changes.at(-1).isIntersecting) loadMore();
}, { rootMargin: '600px' });
function watchEnd() {
  end.unobserve(more);
  if (cursor) end.observe(more); // reports at once if it is visible
}

$('button', notice).addEventListener('click', () => { failures = 0; load(); });
// Shows videos that were uploaded elsewhere, such as with curl, when the user returns to this window.
window.addEventListener('focus', () => load());
// Another tab has started or finished an upload.
window.addEventListener('storage', ({ key }) => { if (!document.hidden && key?.startsWith('upreel ')) load(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) load(); });

let loaded;
function connection() {
  $('#offline').hidden = navigator.onLine;
  if (navigator.onLine) loaded = load();
}
window.addEventListener('online', connection);
window.addEventListener('offline', connection);

/* Links to a video: the id is the fragment */

window.addEventListener('hashchange', openLinked);

// Opens the player for a link, without waiting for the list.
async function openLinked() {
  const videoId = location.hash.slice(1);
  if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(videoId)) {
    // Meanwhile, so that the first frame is shown sooner.
    loadHls();
    try {
      const video = await get(videoId).catch(async (error) => {
        if (!error.temporary) throw error;
        await loaded; // which repeats its request
        return get(videoId);
      });
      const card = showInList(video);
      if (card?.playable) return await card.play(0, video);
    } catch (error) {
      if (!navigator.onLine) return window.addEventListener('online', openLinked, { once: true });
      await loaded; // which hides the notice
      $('p', notice).textContent = error.status === 404 ? 'This link leads to a video that does not exist.' : messageOf(error);
      notice.hidden = false;
    }
  }
  return player.loadControls();
}

/* What the user has stored, of what limit */

let hasQuotas = true;
async function showUsage() {
  if (!hasQuotas) return;
  try {
    const used = await usage();
    hasQuotas = Object.keys(used).length > 0;
    const limited = [[used.bytes, bytes, 'stored'], [used.videos, String, 'videos']].filter(([quantity]) => quantity?.limit);
    $('#usage').hidden = !limited.length;
    $('#usage-text').textContent = limited.map(([quantity, format, what]) => (
      `${format(quantity.used)} of ${format(quantity.limit)} ${what}`)).join(', ');
    $('#usage progress').value = Math.max(0, ...limited.map(([quantity]) => quantity.used / quantity.limit));
  } catch {
    // The list tells that the server cannot be reached.
  }
}

/* Search, count and selection */

const listedCards = () => [...cards.values()].filter((card) => !card.el.hidden);

function updateCount() {
  const shown = listedCards().length;
  const searched = search.value.trim();
  $('#count').textContent = cards.size ? `${shown}${cursor && !searched ? '+' : ''}` : '';
  $('#tools').hidden = !cards.size;
  $('#no-match').hidden = !searched || shown > 0 || Boolean(cursor);
}

function filter() {
  const words = search.value.trim().toLowerCase().split(/\s+/);
  for (const card of cards.values()) {
    const text = [card.name, ...card.video?.tags ?? []].join('\n').toLowerCase();
    card.el.hidden = !words.every((word) => text.includes(word));
  }
  updateCount();
}

search.addEventListener('input', async () => {
  filter();
  const searched = search.value;
  // The API finds the beginnings of titles. This finds words in names and tags, so all pages are loaded.
  while (search.value === searched && searched.trim() && cursor && notice.hidden) await loadMore();
  if (search.value !== searched) return;
  filter();
  if (searched.trim()) announce(`${countOf(listedCards().length)} found.`);
});

function updateSelection() {
  const selected = listedCards().filter((card) => card.selected);
  const on = document.body.classList.contains('selecting');
  selection.hidden = !on;
  $('#select').setAttribute('aria-pressed', on);
  $('#select').textContent = on ? 'Done' : 'Select';
  $('#delete-selected').disabled = !selected.length;
  $('#delete-selected').textContent = selected.length ? `Delete ${selected.length}` : 'Delete';
}

$('#select').addEventListener('click', () => {
  document.body.classList.toggle('selecting');
  for (const card of cards.values()) card.selected = false;
  updateSelection();
});
$('#select-all').addEventListener('click', () => {
  for (const card of listedCards()) card.selected = card.settled;
  updateSelection();
});
$('#delete-selected').addEventListener('click', async () => {
  const selected = listedCards().filter((card) => card.selected && card.settled);
  const name = selected.length === 1 ? selected[0].name : countOf(selected.length);
  const text = 'and everything made from them will be deleted. This cannot be undone.';
  if (!await confirm({ title: 'Delete the selected videos?', name, text, yes: 'Delete', no: 'Keep' })) return;
  let deleted = 0;
  for (const card of selected) if (await card.deleteNow()) deleted += 1;
  announce(`Deleted ${deleted} of ${countOf(selected.length)}.`);
  updateSelection();
  $('#select').focus();
});

/* File input and drag and drop */

$('#file').addEventListener('change', (event) => {
  add(event.target.files);
  // Otherwise choosing the same file again fires no change event.
  event.target.value = '';
});

resumeInput.addEventListener('change', () => {
  const { card, files: [file] } = resumeInput;
  resumeInput.value = '';
  if (!file || !card) return;
  if (card.matches(file)) add([file]);
  else {
    const wanted = `Choose “${card.name}” (${bytes(card.entry.size)}).`;
    card.showError(`“${displayName(file.name)}” is a different file or has been changed. ${wanted}`);
  }
});

const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
let depth = 0; // dragenter and dragleave fire for every element under the pointer
const drag = (step) => {
  depth = step ? Math.max(0, depth + step) : 0;
  document.body.classList.toggle('dragging', depth > 0);
};
document.addEventListener('dragenter', (event) => { if (carriesFiles(event)) drag(1); });
document.addEventListener('dragleave', (event) => { if (carriesFiles(event)) drag(-1); });
document.addEventListener('dragover', (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener('drop', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  drag(0);
  add(event.dataTransfer.files);
});

window.addEventListener('beforeunload', (event) => {
  if ([...cards.values()].some((card) => card.busy)) event.preventDefault();
});

/* Commands to copy */

for (const figure of document.querySelectorAll('figure')) {
  const code = $('code', figure);
  const button = $('.copy', figure);
  code.textContent = code.textContent.replaceAll('http://127.0.0.1:3000', location.origin);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
      announce('Copied.');
    } catch {
      // The clipboard API needs localhost or HTTPS. Select the text instead, to copy it with the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
      announce('Selected. Press Ctrl+C or Command+C to copy.');
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

openLinked();
connection();
