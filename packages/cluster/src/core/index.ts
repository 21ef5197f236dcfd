export * from './frames.js'
export * from './member.js'
export * from './membership.js'
export * from './random.js'
