// Plays a video: its renditions over HLS if there are any, else the original; with the tiles of its storyboard on the
// bar to seek with.

const HLS = 'application/vnd.apple.mpegurl';
const STEP = 5; // seconds, of an arrow key
/** What fails again so near to where it failed before will fail there always. */
const NEAR = 10; // seconds
/** After so long without a move the controls leave the full screen. */
const IDLE = 3000; // milliseconds

const lines = ({ width, height }) => `${Math.min(width, height)}p`;

export class Player {
  constructor(dialog, { clock, format }) {
    Object.assign(this, { dialog, clock, format });
    const find = (selector) => dialog.querySelector(selector);
    this.film = find('.film');
    this.video = find('video');
    this.controls = find('.controls');
    this.seekBar = find('.seek');
    this.peek = find('.peek');
    this.quality = find('.quality');
    this.volume = find('.volume');
    this.unplayable = find('.unplayable');
    this.buttons = Object.fromEntries([...dialog.querySelectorAll('[data-act]')].map((el) => [el.dataset.act, el]));
    for (const [act, el] of Object.entries(this.buttons)) el.addEventListener('click', () => this[act]());
    this.buttons.fullscreen.hidden = !this.film.requestFullscreen && !this.video.webkitEnterFullscreen;

    dialog.addEventListener('close', () => {
      this.about = undefined;
      this.unload();
    });
    // A click beside the dialog lands on the dialog itself.
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    this.film.addEventListener('keydown', (event) => this.key(event));
    for (const type of ['pointermove', 'pointerdown', 'keydown']) this.film.addEventListener(type, () => this.wake());

    const { video, seekBar, quality, volume } = this;
    const on = (el, types, act) => { for (const type of types) el.addEventListener(type, act); };
    on(video, ['click'], () => this.toggle());
    on(video, ['error'], () => this.failed());
    on(video, ['play', 'pause', 'volumechange'], () => this.tell());
    on(video, ['timeupdate', 'durationchange', 'progress', 'seeking'], () => this.mark());
    on(video, ['waiting', 'seeking'], () => this.film.classList.add('waiting'));
    on(video, ['playing', 'seeked', 'canplay'], () => this.film.classList.remove('waiting'));
    on(video, ['loadedmetadata'], () => {
      // The sound alone: the picture is in a codec that the browser lacks.
      if (!video.videoWidth && !this.hls) this.refuse();
    });
    // There is no `change` where a drag ends where it began.
    on(seekBar, ['input', 'change', 'pointerup'], ({ type }) => {
      this.dragging = type === 'input';
      const to = Number(seekBar.value);
      if (this.dragging) this.look(to);
      // While it is dragged, as often as the player can follow.
      if (!this.dragging || !video.seeking) this.seek(to);
    });
    on(seekBar, ['pointermove'], ({ offsetX }) => this.look(this.at(offsetX)));
    on(seekBar, ['focus'], () => { if (seekBar.matches(':focus-visible')) this.look(video.currentTime); });
    on(seekBar, ['pointerleave', 'blur'], () => { this.peek.hidden = true; });
    on(quality, ['change'], () => {
      this.hls.nextLevel = Number(quality.value);
      this.tellQuality();
    });
    on(volume, ['input'], () => Object.assign(video, { volume: volume.value, muted: false }));
  }

  async open({ video, name, facts, at, storyboard, renew }) {
    Object.assign(this, { about: video, renew, storyboard, original: !video.hlsUrl, failedAt: undefined });
    this.dialog.querySelector('h2').textContent = name;
    this.dialog.querySelector('.facts').textContent = facts.join(' · ');
    this.dialog.querySelector('.download').href = video.downloadUrl;
    this.video.poster = video.thumbnailLargeUrl ?? video.thumbnailUrl ?? '';
    this.video.style.aspectRatio = video.width && video.height ? `${video.width} / ${video.height}` : '';
    this.peek.firstElementChild.hidden = true;
    this.dialog.showModal();
    this.start(at);
    const tiles = video.storyboardUrl && await storyboard.ready();
    if (this.storyboard === storyboard) this.peek.firstElementChild.hidden = !tiles;
  }

  get length() {
    const { duration } = this.video;
    return Number.isFinite(duration) ? duration : (this.about?.durationMs ?? 0) / 1000;
  }

  /* What is played */

  // From `at` on; `paused` if it was.
  async start(at, paused = false) {
    this.unload();
    const { about, video } = this;
    this.startAt = at;
    if (!this.original && (window.MediaSource ?? window.ManagedMediaSource)) {
      const { default: Hls } = await import('/vendor/hls.min.mjs').catch(() => ({}));
      // Closed meanwhile, or another one opened.
      if (this.about !== about) return;
      if (Hls?.isSupported()) {
        this.stream(Hls, at, paused);
        return;
      }
    }
    this.original ||= !video.canPlayType(HLS);
    const url = this.original ? about.url : about.hlsUrl;
    // The segments are from another origin than the playlists, and Chromium wants to be asked for that.
    video.crossOrigin = this.original ? null : 'anonymous';
    // A fragment has the player begin there, without a frame of the beginning.
    video.src = at ? `${url}#t=${at}` : url;
    this.begin(paused);
  }

  stream(Hls, startPosition, paused) {
    const { MANIFEST_PARSED, MEDIA_ATTACHED, LEVEL_SWITCHED, ERROR } = Hls.Events;
    const { quality } = this;
    const hls = new Hls({ startPosition, capLevelToPlayerSize: true });
    hls.on(MEDIA_ATTACHED, () => this.begin(paused));
    hls.on(MANIFEST_PARSED, (_, { levels }) => {
      const options = levels.map((level, i) => new Option(lines(level), i));
      quality.replaceChildren(new Option('Auto', -1), ...options.reverse());
      quality.hidden = levels.length < 2;
    });
    hls.on(LEVEL_SWITCHED, () => this.tellQuality());
    hls.on(ERROR, (_, { fatal }) => { if (fatal) this.failed(); });
    this.hls = hls;
    hls.loadSource(this.about.hlsUrl);
    hls.attachMedia(this.video);
  }

  begin(paused) {
    this.loaded = true;
    // Not all browsers let a page begin by itself; then there is the button.
    if (!paused) this.video.play().catch(() => {});
  }

  unload() {
    this.loaded = this.dragging = false;
    this.hls?.destroy();
    this.hls = undefined;
    this.video.removeAttribute('src');
    this.video.load();
    this.quality.hidden = this.unplayable.hidden = this.peek.hidden = true;
    this.controls.inert = false;
    this.film.classList.remove('waiting');
    this.tell();
    this.mark();
  }

  // A signed address expires while the video is paused or long, so the first time it is asked for anew. What fails
  // there again is given up: the renditions for the original, and that for words.
  async failed() {
    if (!this.hls && !this.loaded) return;
    const { about } = this;
    // What cannot be played at all is paused, too.
    const paused = this.video.paused && this.video.played.length > 0;
    const at = this.video.currentTime || this.startAt;
    const again = Math.abs(at - this.failedAt) < NEAR;
    this.unload();
    this.failedAt = at;
    if (again) {
      if (this.original) {
        this.refuse();
        return;
      }
      this.original = true;
      this.failedAt = undefined;
    } else {
      try {
        const renewed = await this.renew();
        if (this.about !== about) return;
        this.about = renewed;
        this.original ||= !renewed.hlsUrl;
      } catch (error) {
        if (this.about !== about) return;
        if (error.status === 404) this.refuse('This video has been deleted.');
        else this.refuse(error.message, at);
        return;
      }
    }
    this.start(at, paused);
  }

  // In words; with `at` it may be tried again from there.
  refuse(why = `This browser cannot play ${this.format(this.about)}. Download it, and play it with another program.`, at) {
    this.unload();
    this.startAt = at;
    this.unplayable.querySelector('p').textContent = why;
    this.buttons.retry.hidden = at === undefined;
    this.unplayable.hidden = false;
    this.controls.inert = true;
  }

  /* The controls */

  retry() {
    this.failedAt = undefined;
    this.start(this.startAt);
    this.buttons.toggle.focus();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  mute() { this.video.muted = !this.video.muted; }

  // An iPhone shows the video itself on the full screen, and nothing else.
  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.film.requestFullscreen) this.film.requestFullscreen();
    else this.video.webkitEnterFullscreen();
  }

  key(event) {
    const { key, target, altKey, ctrlKey, metaKey } = event;
    if (altKey || ctrlKey || metaKey || this.controls.inert || target.matches('select, .volume')) return;
    const { currentTime } = this.video;
    const [back, on] = [currentTime - STEP, currentTime + STEP];
    const to = { ArrowRight: on, ArrowUp: on, ArrowLeft: back, ArrowDown: back, Home: 0, End: this.length }[key];
    if (to !== undefined) {
      this.seek(to);
      if (target === this.seekBar) this.look(this.video.currentTime);
    } else if (key === ' ' && !target.matches('button')) this.toggle();
    else if (key === 'm') this.mute();
    else if (key === 'f') this.fullscreen();
    else return;
    event.preventDefault();
  }

  seek(to) {
    if (this.video.seekable.length) this.video.currentTime = Math.min(this.length, Math.max(0, to));
  }

  // The moment at a place on the bar, whose ends are half a thumb from those of the element.
  at(x) {
    const { offsetWidth, offsetHeight } = this.seekBar;
    return this.length * Math.min(1, Math.max(0, (x - offsetHeight / 2) / (offsetWidth - offsetHeight)));
  }

  // Shows the tile of a moment above the bar.
  look(at) {
    const { peek, seekBar: { offsetWidth, offsetHeight } } = this;
    const [canvas, label] = peek.children;
    peek.hidden = false;
    if (!canvas.hidden) this.storyboard.paint(canvas, at);
    label.textContent = this.clock(at * 1000);
    const part = this.length ? at / this.length : 0;
    const half = peek.offsetWidth / 2;
    const x = offsetHeight / 2 + part * (offsetWidth - offsetHeight);
    peek.style.left = `${Math.min(offsetWidth - half, Math.max(half, x))}px`;
  }

  // Where it is, and how far it is loaded.
  mark() {
    const { video, seekBar, length } = this;
    const { currentTime, buffered } = video;
    const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
    const [, loaded = currentTime] = ranges.find(([from, to]) => from <= currentTime && currentTime <= to) ?? [];
    seekBar.max = length;
    if (!this.dragging) seekBar.value = currentTime;
    seekBar.ariaValueText = `${this.clock(currentTime * 1000)} of ${this.clock(length * 1000)}`;
    seekBar.style.setProperty('--part', length ? seekBar.value / length : 0);
    seekBar.style.setProperty('--loaded', length ? loaded / length : 0);
    this.controls.querySelector('.time').textContent = `${this.clock(currentTime * 1000)} / ${this.clock(length * 1000)}`;
  }

  // What the buttons do now.
  tell() {
    const { film, video, buttons, volume } = this;
    const { paused, muted } = video;
    film.classList.toggle('paused', paused);
    film.classList.toggle('muted', muted || video.volume === 0);
    buttons.toggle.ariaLabel = paused ? 'Play' : 'Pause';
    buttons.mute.ariaLabel = muted ? 'Unmute' : 'Mute';
    volume.value = muted ? 0 : video.volume;
    volume.style.setProperty('--part', volume.value);
  }

  // Which one it has chosen by itself.
  tellQuality() {
    const { autoLevelEnabled, currentLevel, levels } = this.hls;
    const chosen = autoLevelEnabled && levels[currentLevel];
    this.quality.options[0].text = chosen ? `Auto (${lines(chosen)})` : 'Auto';
  }

  wake() {
    this.film.classList.add('awake');
    clearTimeout(this.sleep);
    this.sleep = setTimeout(() => this.film.classList.remove('awake'), IDLE);
  }
}
