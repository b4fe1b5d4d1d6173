# The tsctl image: the bundle and nothing else, on a small Node. Two stages, so that compilers
# and test tools stay out of it.
FROM node:20-alpine AS build
WORKDIR /tsctl
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
COPY bin ./bin
RUN node scripts/build.mjs

FROM node:20-alpine
WORKDIR /tsctl
COPY --from=build /tsctl/package.json ./
COPY --from=build /tsctl/bin ./bin
COPY --from=build /tsctl/dist ./dist
RUN ln -s /tsctl/bin/tsctl.js /usr/local/bin/tsctl
USER node
WORKDIR /home/node
ENTRYPOINT ["tsctl"]
