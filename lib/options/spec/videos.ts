import * as kinds from '../kinds.js';
import { option } from '../option.js';

const frames = {
  spelling: '--frames <n>',
  group: 'make',
  help: 'a video: MP4 (needs ffmpeg), or animated WebP or GIF (default: out.mp4)',
} as const;
const guidance = (help: string, fallback: string) =>
  option({ kind: kinds.real(0, 1000), families: ['svd'], help, fallback });
const motion = (help: string) =>
  option({ kind: kinds.real(-1e6, 1e6), families: ['zero'], help, fallback: '12' });

/** What videos take besides. */
export const VIDEO_OPTIONS = {
  /** Frames of the video. Default: what the model was trained on, 14 or 25; AnimateDiff 16. */
  numFrames: option({
    kind: kinds.count(512),
    families: ['svd', 'animatediff'],
    help: 'frames of the video',
    fallback: "the model's",
    flag: frames,
  }),
  /**
   * AnimateDiff: videos longer than the motion modules take (Qiu et al. 2023, FreeNoise): these see the frames in
   * overlapping windows, and the start noise of later frames is that of earlier ones, shuffled.
   */
  freeNoise: option({
    kind: kinds.freeNoise,
    families: ['animatediff'],
    help: 'longer videos: motion modules see the frames in windows',
    fallback: 'false',
    flag: {
      spelling: '--free-noise [length,stride]',
      group: 'how',
      help: 'long videos with motion modules: in windows of so many frames, every so many (default: 16,4)',
    },
  }),
  /** Guidance of the first frame, 1 by default, and of the last, 3; between them it grows evenly. */
  minGuidanceScale: guidance('guidance of the first frame', '1'),
  /** At 1 and below there is no guidance at all. */
  maxGuidanceScale: guidance('guidance of the last frame; 1 is off', '3'),
  /** Frames per second that the model is told, 7 by default. */
  fps: option({
    kind: kinds.real(1, 1000),
    families: ['svd'],
    help: 'frames per second that the model is told',
    fallback: '7',
    flag: { spelling: '--fps <n>', group: 'make', help: 'its frames per second (default: 7)' },
  }),
  /** How much should move, 127 by default. */
  motionBucketId: option({
    kind: kinds.real(0, 10_000),
    families: ['svd'],
    help: 'how much should move',
    fallback: '127',
  }),
  /** Noise that is added to the picture, 0.02 by default: with more of it the video follows the picture less. */
  noiseAugStrength: option({
    kind: kinds.real(0, 1000),
    families: ['svd'],
    help: 'noise that is added to the picture',
    fallback: '0.02',
  }),
  /**
   * Frames that are decoded at once, all by default. Fewer take less memory, but only frames that are decoded together
   * see each other.
   */
  decodeChunkSize: option({
    kind: kinds.count(512),
    families: ['svd'],
    help: 'frames that are decoded at once; fewer take less memory',
    fallback: 'all',
  }),
  /** Noise of unit variance that is added to the picture, [1, 3, height, width], instead of the seed's. */
  imageNoise: option({
    kind: kinds.tensor('1', '3', 'height', 'width'),
    families: ['svd'],
    help: 'noise that is added to the picture',
    fallback: "the seed's",
  }),
  /**
   * diffusers before v0.28 gave temporal cross attention the contexts of both guidance halves in turn, by mistake;
   * true does so too. Default false.
   */
  interleaveContexts: option({
    kind: kinds.flag,
    families: ['svd'],
    help: "diffusers' mistake before v0.28, for its videos",
    fallback: 'false',
  }),
  /** Frames, 8 by default. */
  videoLength: option({
    kind: kinds.whole(2, 512),
    families: ['zero'],
    help: 'frames of the video',
    fallback: '8',
    flag: frames,
  }),
  /** Which frames of a longer video these are; default 0, 1, 2, ... */
  frameIds: option({
    kind: kinds.numbers,
    families: ['zero'],
    help: 'which frames of a longer video these are',
    fallback: '0, 1, 2, ...',
  }),
  /** Motion from frame to frame in pixels of a picture of 512 x 512, 12 by default. */
  motionFieldStrengthX: motion('motion from frame to frame, in pixels of a picture of 512x512'),
  motionFieldStrengthY: motion('the same, down'),
  /**
   * Timesteps counted from the end of the schedule, 44 and 47 of 50 by default, and the same share of fewer: at t0 the
   * first frame is moved to make the others, which are noised again up to t1, from where all frames are denoised
   * together.
   */
  t0: option({
    kind: kinds.whole(0, 100_000),
    families: ['zero'],
    help: 'calls from the end, where the first frame is moved to make the others',
    fallback: '44 of 50',
  }),
  t1: option({
    kind: kinds.whole(1, 100_000),
    families: ['zero'],
    help: 'calls from the end, up to where the others are noised again',
    fallback: '47 of 50',
  }),
  /** Noise of unit variance for the other frames, [frames - 1, 4, h / 8, w / 8], instead of the seed's. */
  forwardNoise: option({
    kind: kinds.tensor('frames - 1', 'channels', 'h / 8', 'w / 8'),
    families: ['zero'],
    help: 'noise for the other frames',
    fallback: "the seed's",
  }),
};
